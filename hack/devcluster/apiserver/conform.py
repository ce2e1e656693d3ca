"""Fits a decoded object to its built-in type: wrong types are refused, unknown fields dropped and reported, empty
optional values left out, quantities and times brought into canonical form. It works in place, in one pass.

Go's JSON decoder does this upstream; without it a typo in a manifest would live on in the store and in every patch.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from hack.devcluster.apiserver import quantity, schema
from hack.devcluster.apiserver.schema import Node

_PLAIN_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
_GO_TYPES = {"string": str, "boolean": bool, "integer": int, "bytes": str}


class WrongType(ValueError):
    """A value that Go could not decode into the field at `path`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


def format_time(value: datetime, *, micro: bool = False) -> str:
    """RFC 3339 in UTC as metav1.Time (seconds) or MicroTime writes it."""
    value = value.astimezone(UTC)
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def conform(value: Any, node: Node, unknown: list[str], path: str = "", *, keep_empty: bool = False) -> Any:
    """The fitted value (the same containers, changed in place). Adds the paths of unknown fields to `unknown`.

    `keep_empty` leaves empty values and nulls where they are: an applied configuration owns what it names.
    """
    kind = node.type
    if value is None:
        return None
    if kind == schema.OBJECT:
        return _object(value, node, unknown, path, keep_empty)
    if kind == schema.LIST:
        if not isinstance(value, list):
            raise WrongType(
                path, f"cannot unmarshal {json_kind(value)} into Go struct field {path} of type []{go_type(node.items)}"
            )
        items = node.items or schema.ANYTHING
        if items.type == schema.STRING:
            for at, item in enumerate(value):
                _scalar(item, items, f"{path}[{at}]")
            return value
        for at, item in enumerate(value):
            value[at] = conform(item, items, unknown, f"{path}[{at}]", keep_empty=keep_empty)
        return value
    if kind == schema.MAP:
        return _map(value, node, unknown, path, keep_empty)
    if kind == schema.ANY:
        return value
    return _scalar(value, node, path)


def _object(value: Any, node: Node, unknown: list[str], path: str, keep_empty: bool) -> Any:
    if not isinstance(value, dict):
        raise WrongType(
            path, f"cannot unmarshal {json_kind(value)} into Go struct field {path} of type {go_type(node)}"
        )
    fields = node.fields
    omitted = node.omitted if not keep_empty else frozenset()
    gone: list[str] = []
    for key, item in value.items():
        child = fields.get(key)
        if child is None:
            unknown.append(f"{path}.{key}" if path else key)
            gone.append(key)
        elif item is None:
            if not keep_empty:
                gone.append(key)
        elif child.type == schema.STRING and type(item) is str:
            if not item and key in omitted:
                gone.append(key)
        else:
            value[key] = conform(item, child, unknown, f"{path}.{key}" if path else key, keep_empty=keep_empty)
            if not item and key in omitted:
                gone.append(key)
    for key in gone:
        del value[key]
    return value


def _map(value: Any, node: Node, unknown: list[str], path: str, keep_empty: bool) -> Any:
    values = node.values or schema.ANYTHING
    if not isinstance(value, dict):
        raise WrongType(
            path,
            f"cannot unmarshal {json_kind(value)} into Go struct field {path} of type map[string]{go_type(values)}",
        )
    for key, item in value.items():
        if item is None and values.type in schema.SCALARS:
            value[key] = "" if values.type == schema.STRING else None
        else:
            value[key] = conform(item, values, unknown, f"{path}.{key}", keep_empty=keep_empty)
    return value


def _scalar(value: Any, node: Node, path: str) -> Any:
    kind = node.type
    expected = _GO_TYPES.get(kind)
    if expected is not None:
        if type(value) is expected:
            return value
        if kind == schema.INTEGER and isinstance(value, float) and value.is_integer():
            return int(value)
        raise WrongType(
            path, f"cannot unmarshal {json_kind(value)} into Go struct field {path} of type {go_type(node)}"
        )
    if kind == schema.NUMBER and isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if kind == schema.INT_OR_STRING and type(value) in (int, str):
        return value
    if kind == schema.QUANTITY and isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return quantity.canonical(value)
        except ValueError as problem:
            raise WrongType(path, str(problem)) from problem
    if kind in (schema.TIME, schema.MICROTIME) and isinstance(value, str):
        return _time(value, path, micro=kind == schema.MICROTIME)
    raise WrongType(path, f"cannot unmarshal {json_kind(value)} into Go struct field {path} of type {go_type(node)}")


def _time(value: str, path: str, *, micro: bool) -> str:
    if not micro and _PLAIN_TIME.match(value):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as problem:
        raise WrongType(
            path, f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse "{value}"'
        ) from problem
    return format_time(moment if moment.tzinfo else moment.replace(tzinfo=UTC), micro=micro)


def json_kind(value: Any) -> str:
    """Go's word for the JSON type of a value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def go_type(node: Node | None) -> str:
    """Go's word for a field's type."""
    if node is None:
        return "interface {}"
    words = {
        schema.INTEGER: "int32",
        schema.BOOLEAN: "bool",
        schema.NUMBER: "float64",
        schema.QUANTITY: "resource.Quantity",
    }
    words |= {
        schema.TIME: "v1.Time",
        schema.MICROTIME: "v1.MicroTime",
        schema.BYTES: "[]uint8",
        schema.ANY: "interface {}",
    }
    words |= {schema.INT_OR_STRING: "intstr.IntOrString", schema.STRING: "string"}
    return words.get(node.type) or re.sub(
        r"^(Core|Events|Discovery|Rbac|Authentication)?(V\d)", lambda m: m.group(2).lower() + ".", node.name
    )
