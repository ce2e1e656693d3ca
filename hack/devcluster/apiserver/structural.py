"""Structural schemas of CRDs: from OpenAPI to the type tree, pruning and defaulting.

Validation is in `validating`, CEL rules in `celrules`; all three walk the same `Node` tree, whose `raw` is the schema
as the CRD gave it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from hack.devcluster.apiserver import schema
from hack.devcluster.apiserver.schema import Node

Raw = Mapping[str, Any]
_PLAIN = {"string": schema.STRING, "integer": schema.INTEGER, "number": schema.NUMBER, "boolean": schema.BOOLEAN}


def node_of(raw: Raw, *, meta: Node | None = None, root: bool = False) -> Node:
    """The type tree of a schema. `meta` is the type of ObjectMeta, used at the root and in embedded resources."""
    kind = raw.get("type", "")
    if raw.get("x-kubernetes-int-or-string"):
        return Node(schema.INT_OR_STRING, raw=raw)
    if kind in _PLAIN:
        return Node(_PLAIN[kind], raw=raw)
    if kind == "array":
        keys = tuple(raw.get("x-kubernetes-list-map-keys") or ())
        items = node_of(raw.get("items") or {}, meta=meta)
        made = Node(schema.LIST, items=items, list_type=raw.get("x-kubernetes-list-type", "atomic"), keys=keys, raw=raw)
        fields = {key: items.fields[key].raw or {} for key in keys if key in items.fields}
        made.key_defaults = {key: raw_field["default"] for key, raw_field in fields.items() if "default" in raw_field}
        return made
    return _object(raw, meta, root=root)


def _object(raw: Raw, meta: Node | None, *, root: bool) -> Node:
    preserve = bool(raw.get("x-kubernetes-preserve-unknown-fields"))
    atomic = raw.get("x-kubernetes-map-type") == "atomic"
    additional = raw.get("additionalProperties")
    if isinstance(additional, Mapping) or additional is True:
        values = node_of(additional, meta=meta) if isinstance(additional, Mapping) and additional else schema.ANYTHING
        return Node(schema.MAP, values=values, atomic=atomic, raw=raw)
    fields = {name: node_of(item, meta=meta) for name, item in (raw.get("properties") or {}).items()}
    if root or raw.get("x-kubernetes-embedded-resource"):
        text = Node(schema.STRING, raw={"type": "string"})
        fields = {"apiVersion": text, "kind": text} | fields
        if meta is not None:
            fields["metadata"] = meta
    if raw.get("type") != "object" and not fields:
        return Node(schema.ANY, preserve=True, raw=raw)
    return Node(
        schema.OBJECT,
        fields=fields,
        atomic=atomic,
        preserve=preserve,
        required=tuple(raw.get("required") or ()),
        raw=raw,
    )


def prune(value: Any, node: Node, unknown: list[str], path: str = "") -> None:
    """Drop fields that the schema does not know, in place; their paths are added to `unknown`."""
    if isinstance(value, dict):
        if node.type == schema.OBJECT:
            for key in list(value):
                child = node.fields.get(key)
                here = f"{path}.{key}" if path else key
                if child is not None:
                    if child.raw is not None or child.type != schema.OBJECT:
                        prune(value[key], child, unknown, here)
                elif not node.preserve:
                    unknown.append(here)
                    del value[key]
        elif node.type == schema.MAP and node.values is not None:
            for key, item in value.items():
                prune(item, node.values, unknown, f"{path}.{key}")
    elif isinstance(value, list) and node.type == schema.LIST and node.items is not None:
        for at, item in enumerate(value):
            prune(item, node.items, unknown, f"{path}[{at}]")


def fill_defaults(value: Any, node: Node) -> None:
    """Set defaults, in place; a null in a field that has a default and is not nullable counts as absent."""
    if isinstance(value, dict):
        for key, child in node.fields.items():
            raw = child.raw
            if raw is None:
                continue
            if "default" in raw and (key not in value or (value[key] is None and not raw.get("nullable"))):
                value[key] = copy.deepcopy(raw["default"])
            if key in value:
                fill_defaults(value[key], child)
        if node.type == schema.MAP and node.values is not None:
            for item in value.values():
                fill_defaults(item, node.values)
    elif isinstance(value, list) and node.items is not None:
        for item in value:
            fill_defaults(item, node.items)


def drop_nulls(value: Any, node: Node) -> None:
    """Remove null members that the schema does not call nullable, in place, as upstream does before it defaults."""
    if isinstance(value, dict):
        for key in [key for key, item in value.items() if item is None and key in node.fields]:
            if not (node.fields[key].raw or {}).get("nullable"):
                del value[key]
        for key, item in value.items():
            if isinstance(item, dict | list):
                drop_nulls(item, node.child(key))
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict | list) and node.items is not None:
                drop_nulls(item, node.items)
