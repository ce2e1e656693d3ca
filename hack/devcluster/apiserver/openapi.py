"""OpenAPI documents, made on demand from the type tables and the CRDs, and kept only for the kinds that were asked
for.

`kubectl` reads v3: `explain` walks the schemas, `apply` looks whether PATCH takes `fieldValidation` and `dryRun`. Its
v2 request is protobuf, answered with a valid document that declares nothing.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from hack.devcluster.apiserver import listtypes, schema
from hack.devcluster.apiserver.kinds import Registry, Resource

V2_PROTOBUF_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
# gnostic.openapi.v2.Document {swagger: "2.0", info: {title: "Kubernetes", version: "v1.36.0"}}
V2_PROTOBUF = b"\n\x032.0\x12\x15\n\nKubernetes\x12\x07v1.36.0"

_SCALARS: dict[str, dict[str, Any]] = {
    "s": {"type": "string"},
    "i": {"type": "integer", "format": "int32"},
    "n": {"type": "number", "format": "double"},
    "b": {"type": "boolean"},
    "t": {"type": "string", "format": "date-time"},
    "B": {"type": "string", "format": "byte"},
    "I": {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    "x": {},
}
_WRITE_OPTIONS = ("dryRun", "fieldManager", "fieldValidation")


class OpenApi:
    """Builder of the documents."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._cache: dict[str, tuple[int, bytes]] = {}

    def index(self) -> dict[str, Any]:
        """`/openapi/v3`: a URL with a hash for each group version."""
        paths: dict[str, Any] = {}
        for path in self._paths():
            mark = hashlib.sha256(f"{path}{self._registry.serial}".encode()).hexdigest()[:32].upper()
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={mark}"}
        return {"paths": paths}

    def _paths(self) -> list[str]:
        groups = [
            f"apis/{group}/{version}" for group in self._registry.groups() for version in self._registry.versions(group)
        ]
        return ["api/v1", *groups]

    def v3(self, path: str) -> bytes | None:
        """The document of one group version, or None."""
        if path not in self._paths():
            return None
        known = self._cache.get(path)
        if known is not None and known[0] == self._registry.serial:
            return known[1]
        parts = path.split("/")
        group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[2])
        document = msgspec.json.encode(self._document(group, version))
        self._cache[path] = (self._registry.serial, document)
        return document

    def _document(self, group: str, version: str) -> dict[str, Any]:
        resources = self._registry.in_version(group, version)
        schemas: dict[str, Any] = {}
        docs = schema.descriptions()
        paths: dict[str, Any] = {}
        for resource in resources:
            name = self._root(resource, schemas, docs)
            paths.update(_paths_of(resource, name))
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": "v1.36.0"},
            "paths": paths,
            "components": {"schemas": schemas},
        }

    def _root(self, resource: Resource, schemas: dict[str, Any], docs: dict[str, Any]) -> str:
        mark = [{"group": resource.group, "version": resource.version, "kind": resource.kind}]
        if resource.crd is None:
            _collect(resource.definition, schemas, docs)
            schemas[resource.definition]["x-kubernetes-group-version-kind"] = mark
            return resource.definition
        _collect("V1ObjectMeta", schemas, docs)
        name = ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])
        body = dict(resource.crd.raw_schema)
        ref = {"description": "Standard object's metadata.", "allOf": [{"$ref": "#/components/schemas/V1ObjectMeta"}]}
        body["properties"] = {
            "apiVersion": _text("apiVersion"),
            "kind": _text("kind"),
            **(body.get("properties") or {}),
            "metadata": ref,
        }
        schemas[name] = {**body, "x-kubernetes-group-version-kind": mark}
        return name

    def v2(self) -> dict[str, Any]:
        """`/openapi/v2` as JSON."""
        schemas: dict[str, Any] = {}
        docs = schema.descriptions()
        paths: dict[str, Any] = {}
        for resource in self._registry.all():
            name = self._root(resource, schemas, docs)
            paths.update(_paths_of(resource, name))
        text = msgspec.json.encode(schemas).replace(b"#/components/schemas/", b"#/definitions/")
        info = {"title": "Kubernetes", "version": "v1.36.0"}
        return {"swagger": "2.0", "info": info, "paths": paths, "definitions": msgspec.Raw(text)}


def _text(name: str) -> dict[str, Any]:
    return {"type": "string", "description": f"{name} of the representation of this object."}


def _collect(name: str, schemas: dict[str, Any], docs: dict[str, Any]) -> None:
    if name in schemas:
        return
    entry, texts = schema.definitions()[name], docs.get(name, {})
    body: dict[str, Any] = {"type": "object", "description": texts.get("", ""), "properties": {}}
    schemas[name] = body
    if entry.get("r"):
        body["required"] = entry["r"]
    for key, code in entry["f"].items():
        value = _of_code(code, schemas, docs)
        if "$ref" in value:
            value = {"allOf": [value], "default": {}}
        if (name, key) in listtypes.QUANTITIES:
            _quantity(value)
        if code[0] == "[":
            rule = listtypes.list_rule(name, key)
            value["x-kubernetes-list-type"] = rule.list_type
            if rule.keys:
                value["x-kubernetes-list-map-keys"] = list(rule.keys)
            if rule.strategy:
                value["x-kubernetes-patch-strategy"] = rule.strategy
            if rule.merge_key:
                value["x-kubernetes-patch-merge-key"] = rule.merge_key
        if texts.get(key):
            value["description"] = texts[key]
        body["properties"][key] = value


def _quantity(value: dict[str, Any]) -> None:
    form = {"oneOf": [{"type": "string"}, {"type": "number"}]}
    if "additionalProperties" in value:
        value["additionalProperties"] = form
    else:
        value.clear()
        value.update(form)


def _of_code(code: str, schemas: dict[str, Any], docs: dict[str, Any]) -> dict[str, Any]:
    if code[0] == "[":
        return {"type": "array", "items": _of_code(code[1:], schemas, docs)}
    if code[0] == "{":
        return {"type": "object", "additionalProperties": _of_code(code[1:], schemas, docs)}
    if code in _SCALARS:
        return dict(_SCALARS[code])
    _collect(code, schemas, docs)
    return {"$ref": f"#/components/schemas/{code}"}


def _paths_of(resource: Resource, name: str) -> dict[str, Any]:
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    base = f"{root}/namespaces/{{namespace}}/{resource.plural}" if resource.namespaced else f"{root}/{resource.plural}"
    mark = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    body = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}
    options = [{"name": option, "in": "query", "schema": {"type": "string"}} for option in _WRITE_OPTIONS]

    def operation(action: str, *, write: bool) -> dict[str, Any]:
        made: dict[str, Any] = {
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": mark,
            "responses": {"200": {"description": "OK", **body}},
        }
        if write:
            made["parameters"] = options
            made["requestBody"] = body
        return made

    collection = {"get": operation("list", write=False), "post": operation("post", write=True)}
    if "get" not in resource.verbs:
        return {base: {"post": operation("post", write=True)}}
    item = {
        "get": operation("get", write=False),
        "put": operation("put", write=True),
        "patch": operation("patch", write=True),
        "delete": operation("delete", write=True),
    }
    return {base: collection, f"{base}/{{name}}": item}
