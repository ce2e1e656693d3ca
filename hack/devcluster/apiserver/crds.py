"""CustomResourceDefinitions: checked at creation, then served. One `CrdVersion` holds what a version's objects need."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver import jsonpath, ratchet, schema, structural, structuralcheck
from hack.devcluster.apiserver.kinds import Registry, Resource, Scale
from hack.devcluster.apiserver.schema import Node
from hack.devcluster.apiserver.validating import validate

STORE_KEY = "customresourcedefinitions.apiextensions.k8s.io"
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
Obj = dict[str, Any]
_SIMPLE = "must be a simple json path starting with ."


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
        """Drop nulls where none are allowed and fill defaults, in place."""
        structural.drop_nulls(obj, self.node)
        structural.fill_defaults(obj, self.node)

    def validate(self, obj: Obj, old: Obj | None) -> tuple[list[err.Cause], list[err.Cause]]:
        """(causes, rules that fail on parts that did not change, which only warn). Rules run on what fits."""
        causes: list[err.Cause] = []
        body = {key: value for key, value in obj.items() if key != "metadata"}
        validate(body, self.node, "", causes)
        causes, _ = ratchet.split(causes, obj, old, self.node)
        if self.rules and any(cause.reason != "FieldValueDuplicate" for cause in causes):
            why = "some validation rules were not checked because the object was invalid; correct the existing errors"
            causes.append(err.Cause("<nil>", f"Invalid value: null: {why} to complete validation"))
        if causes or not self.rules:
            return causes, []
        from hack.devcluster.apiserver import celrules  # 30 MiB of evaluator, only where a CRD has rules

        run = celrules.validate(obj, old, self.node, has_old=old is not None)
        return run.causes, run.ratcheted


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
    same = len({msgspec.json.encode(item.get("schema")) for item in versions}) == 1
    for at, version in enumerate(versions if not same else versions[:1]):
        where = "spec.validation.openAPIV3Schema" if same else f"spec.versions[{at}].schema.openAPIV3Schema"
        causes += _check_version(version, where, "spec" if len(versions) == 1 else f"spec.versions[{at}]", types)
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


def _check_version(version: Obj, where: str, path: str, types: schema.Types) -> list[err.Cause]:
    raw = (version.get("schema") or {}).get("openAPIV3Schema")
    if raw is None:
        return [err.required("spec.versions[0].schema.openAPIV3Schema", "schemas are required")]
    if raw.get("type") != "object":
        return [err.invalid_value(f"{where}.type", raw.get("type", ""), "must be object at the root")]
    causes: list[err.Cause] = []
    structuralcheck.check(raw, where, causes, root=True)
    if causes:
        return causes
    if _has_rules(raw):
        from hack.devcluster.apiserver import celcheck

        node = structural.node_of(raw, meta=types.node("V1ObjectMeta"), root=True)
        for at, value, problem in celcheck.prepare(node):
            found = (
                err.required(where + at, problem) if value is None else err.invalid_value(where + at, value, problem)
            )
            causes.append(found)
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        where = f"{path}.additionalPrinterColumns[{index}].JSONPath"
        try:
            jsonpath.parse(column.get("jsonPath", ""))
        except ValueError as problem:
            text = str(problem) if str(column.get("jsonPath")).startswith(".") else _SIMPLE
            causes.append(err.invalid_value(where, column.get("jsonPath"), text))
    scale = (version.get("subresources") or {}).get("scale") or {}
    for name, start in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        if scale and not str(scale.get(name, "")).startswith("."):
            causes.append(err.invalid_value(f"{path}.subresources.scale.{name}", scale.get(name, ""), _SIMPLE))
        elif scale and not str(scale[name]).startswith(start):
            why = f"should be a json path under {start[:-1]}"
            causes.append(err.invalid_value(f"{path}.subresources.scale.{name}", scale[name], why))
    return causes


def _has_rules(raw: Any) -> bool:
    if isinstance(raw, dict):
        return "x-kubernetes-validations" in raw or any(_has_rules(item) for item in raw.values())
    return isinstance(raw, list) and any(_has_rules(item) for item in raw)


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
        from hack.devcluster.apiserver import celcheck

        for _ in celcheck.prepare(node):
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
