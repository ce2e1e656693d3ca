"""CustomResourceDefinitions: checked at creation, then served. One `CrdVersion` holds what a version's objects need."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver import jsonpath, schema, structural
from hack.devcluster.apiserver.kinds import Registry, Resource, Scale
from hack.devcluster.apiserver.schema import Node
from hack.devcluster.apiserver.validating import validate

STORE_KEY = "customresourcedefinitions.apiextensions.k8s.io"
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
Obj = dict[str, Any]


@dataclass(slots=True)
class CrdVersion:
    """One served version. `node` is its type tree, `rules` whether any CEL rule stands in it."""

    node: Node
    raw_schema: Mapping[str, Any]
    columns: tuple[Obj, ...]
    selectable: tuple[str, ...]
    storage_api_version: str
    rules: bool
    preserve: bool = False

    def prune(self, obj: Obj, unknown: list[str]) -> None:
        """Drop unknown fields, in place."""
        if not self.preserve:
            structural.prune(obj, self.node, unknown)

    def default(self, obj: Obj) -> None:
        """Fill defaults, in place."""
        structural.fill_defaults(obj, self.node)

    def validate(self, obj: Obj, old: Obj | None) -> list[err.Cause]:
        """Schema causes; CEL rules run only on objects that fit the schema."""
        causes: list[err.Cause] = []
        body = {key: value for key, value in obj.items() if key != "metadata"}
        validate(body, self.node, "", causes)
        if causes or not self.rules:
            return causes
        from hack.devcluster.apiserver import celrules  # 30 MiB of evaluator, only where a CRD has rules

        celrules.evaluate(obj, old, self.node, "", causes, has_old=old is not None)
        return causes


def check(obj: Obj, types: schema.Types) -> list[err.Cause]:
    """Causes that refuse a definition."""
    spec, names = obj.get("spec") or {}, (obj.get("spec") or {}).get("names") or {}
    causes = _check_names(obj, spec, names)
    versions = spec.get("versions") or []
    if not versions:
        causes.append(err.required("spec.versions", "must have at least one version"))
    if versions and sum(bool(item.get("storage")) for item in versions) != 1:
        causes.append(
            err.invalid_value(
                "spec.versions",
                [v.get("name") for v in versions],
                "must have exactly one version marked as storage version",
            )
        )
    if (spec.get("conversion") or {}).get("strategy") not in (None, "None"):
        raise err.not_implemented("conversion webhooks of CustomResourceDefinitions; only strategy None")
    for at, version in enumerate(versions):
        causes += _check_version(version, f"spec.versions[{at}]", types)
    return causes


def _check_names(obj: Obj, spec: Obj, names: Obj) -> list[err.Cause]:
    causes = []
    for field in ("plural", "kind"):
        if not names.get(field):
            causes.append(err.required(f"spec.names.{field}"))
    if not spec.get("group"):
        causes.append(err.required("spec.group"))
    elif "." not in spec["group"]:
        causes.append(err.invalid_value("spec.group", spec["group"], "should be a domain with at least one dot"))
    wanted = f"{names.get('plural')}.{spec.get('group')}"
    if obj["metadata"]["name"] != wanted:
        causes.append(
            err.invalid_value("metadata.name", obj["metadata"]["name"], 'must be spec.names.plural+"."+spec.group')
        )
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        causes.append(err.unsupported_value("spec.scope", spec.get("scope", ""), ["Cluster", "Namespaced"]))
    group, annotations = spec.get("group", ""), obj["metadata"].get("annotations") or {}
    if re.search(r"(^|\.)(k8s|kubernetes)\.io$", group) and "api-approved.kubernetes.io" not in annotations:
        text = 'protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111'
        causes.append(err.required("metadata.annotations[api-approved.kubernetes.io]", text))
    return causes


def _check_version(version: Obj, path: str, types: schema.Types) -> list[err.Cause]:
    raw = (version.get("schema") or {}).get("openAPIV3Schema")
    if raw is None:
        return [err.required(f"{path}.schema.openAPIV3Schema", "schemas are required")]
    where = f"{path}.schema.openAPIV3Schema"
    if raw.get("type") != "object":
        return [err.invalid_value(f"{where}.type", raw.get("type", ""), "must be object at the root")]
    causes: list[err.Cause] = []
    _check_structural(raw, where, causes, root=True)
    if causes:
        return causes
    if _has_rules(raw):
        from hack.devcluster.apiserver import celrules

        node = structural.node_of(raw, meta=types.node("V1ObjectMeta"), root=True)
        for at, problem in celrules.prepare(node):
            causes.append(
                err.invalid_value(f"{where}{at}.x-kubernetes-validations", "", f"compilation failed: {problem}")
            )
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        try:
            jsonpath.parse(column.get("jsonPath", ""))
        except ValueError as problem:
            causes.append(
                err.invalid_value(
                    f"{path}.additionalPrinterColumns[{index}].jsonPath", column.get("jsonPath"), str(problem)
                )
            )
    return causes


def _has_rules(raw: Any) -> bool:
    if isinstance(raw, dict):
        return "x-kubernetes-validations" in raw or any(_has_rules(item) for item in raw.values())
    return isinstance(raw, list) and any(_has_rules(item) for item in raw)


def _check_structural(raw: Any, path: str, causes: list[err.Cause], *, root: bool = False) -> None:
    """Rules of structural schemas: types everywhere, no forbidden keyword, list keys that exist, defaults that fit."""
    if not isinstance(raw, dict):
        causes.append(err.invalid_value(path, raw, "must be a schema object"))
        return
    free = raw.get("x-kubernetes-preserve-unknown-fields") or raw.get("x-kubernetes-int-or-string")
    if not raw.get("type") and not free:
        causes.append(err.required(f"{path}.type", "must not be empty for specified object fields"))
    if raw.get("type") and raw.get("x-kubernetes-int-or-string"):
        causes.append(
            err.invalid_value(f"{path}.type", raw["type"], "must be empty if x-kubernetes-int-or-string is true")
        )
    for name in ("$ref", "patternProperties", "definitions", "dependencies", "additionalItems", "id"):
        if raw.get(name):
            causes.append(err.Cause(f"{path}.{name}", "Forbidden: must not be set", "FieldValueForbidden"))
    if raw.get("properties") and raw.get("additionalProperties"):
        causes.append(
            err.Cause(
                f"{path}.additionalProperties",
                "Forbidden: must not be used if properties are used",
                "FieldValueForbidden",
            )
        )
    if raw.get("uniqueItems"):
        causes.append(
            err.Cause(
                f"{path}.uniqueItems",
                "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
                "FieldValueForbidden",
            )
        )
    _check_list(raw, path, causes)
    if "default" in raw and not root:
        problems: list[err.Cause] = []
        unknown: list[str] = []
        value = copy.deepcopy(raw["default"])
        node = structural.node_of(raw)
        validate(value, node, f"{path}.default", problems)
        structural.prune(value if isinstance(value, dict | list) else {}, node, unknown)
        causes += problems + [
            err.invalid_value(f"{path}.default", value, f"must not have unknown fields: {name}") for name in unknown
        ]
    for name, item in (raw.get("properties") or {}).items():
        if root and name == "metadata":
            continue
        _check_structural(item, f"{path}.properties[{name}]", causes)
    if isinstance(raw.get("additionalProperties"), dict):
        _check_structural(raw["additionalProperties"], f"{path}.additionalProperties", causes)
    if raw.get("items") is not None:
        _check_structural(raw["items"], f"{path}.items", causes)


def _check_list(raw: Obj, path: str, causes: list[err.Cause]) -> None:
    kind, keys = raw.get("x-kubernetes-list-type"), raw.get("x-kubernetes-list-map-keys") or []
    if raw.get("type") == "array" and raw.get("items") is None:
        causes.append(err.required(f"{path}.items", "must be specified"))
    if kind not in (None, "atomic", "set", "map"):
        causes.append(err.unsupported_value(f"{path}.x-kubernetes-list-type", kind, ["atomic", "map", "set"]))
    if kind == "map" and not keys:
        causes.append(
            err.required(f"{path}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map")
        )
    items = raw.get("items") or {}
    for at, key in enumerate(keys):
        field = (items.get("properties") or {}).get(key)
        where = f"{path}.x-kubernetes-list-map-keys[{at}]"
        if field is None:
            causes.append(err.invalid_value(where, key, "entries must all be names of item properties"))
        elif key not in (items.get("required") or ()) and "default" not in field:
            why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            causes.append(err.required(f"{path}.items.properties[{key}].default", why))


def resources_of(obj: Obj, types: schema.Types) -> list[Resource]:
    """The served resources of an accepted definition."""
    spec, names = obj["spec"], obj["spec"]["names"]
    storage = next(item["name"] for item in spec["versions"] if item.get("storage"))
    found = []
    for version in spec["versions"]:
        if version.get("served"):
            found.append(_resource(spec, names, version, f"{spec['group']}/{storage}", types))
    return found


def _resource(spec: Obj, names: Obj, version: Obj, storage: str, types: schema.Types) -> Resource:
    raw = version["schema"]["openAPIV3Schema"]
    node = structural.node_of(raw, meta=types.node("V1ObjectMeta"), root=True)
    rules = _has_rules(raw)
    if rules:
        from hack.devcluster.apiserver import celrules

        for _ in celrules.prepare(node):
            pass
    subs = version.get("subresources") or {}
    crd = CrdVersion(
        node=node,
        raw_schema=raw,
        columns=tuple(version.get("additionalPrinterColumns") or ()),
        selectable=tuple(item["jsonPath"].lstrip(".") for item in version.get("selectableFields") or ()),
        storage_api_version=storage,
        rules=rules,
        preserve=bool(spec.get("preserveUnknownFields")),
    )
    return Resource(
        spec["group"],
        version["name"],
        names["kind"],
        names["plural"],
        namespaced=spec["scope"] == "Namespaced",
        singular=names.get("singular") or names["kind"].lower(),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        status="status" in subs,
        scale=_scale(subs.get("scale")),
        collection=f"{names['plural']}.{spec['group']}",
        list_kind=names.get("listKind") or names["kind"] + "List",
        crd=crd,
    )


def _scale(scale: Obj | None) -> Scale | None:
    if scale is None:
        return None

    def keys(name: str) -> tuple[str, ...]:
        return tuple(part for part in (scale or {}).get(name, "").split(".") if part)

    return Scale(keys("specReplicasPath"), keys("statusReplicasPath"), keys("labelSelectorPath"))


def accepted_status(obj: Obj, now: str) -> Obj:
    """The status of a definition that is served."""
    versions = [item["name"] for item in obj["spec"]["versions"] if item.get("storage")]
    stored = list(dict.fromkeys([*((obj.get("status") or {}).get("storedVersions") or ()), *versions]))
    old = {item["type"]: item for item in (obj.get("status") or {}).get("conditions") or ()}

    def condition(kind: str, reason: str, message: str) -> Obj:
        since = old[kind]["lastTransitionTime"] if kind in old and old[kind]["status"] == "True" else now
        return {"type": kind, "status": "True", "lastTransitionTime": since, "reason": reason, "message": message}

    conditions = [
        condition("NamesAccepted", "NoConflicts", "no conflicts found"),
        condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ]
    return {"conditions": conditions, "acceptedNames": obj["spec"]["names"], "storedVersions": stored}


def register(registry: Registry, obj: Obj) -> None:
    """Serve (or serve anew) a definition."""
    spec = obj["spec"]
    registry.drop(spec["group"], spec["names"]["plural"])
    registry.add(resources_of(obj, registry.types))
