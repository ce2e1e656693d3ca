"""The rules of structural schemas: types everywhere, no forbidden keyword, list keys that exist, defaults that fit."""

from __future__ import annotations

import copy
from typing import Any

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver import structural
from hack.devcluster.apiserver.validating import validate

Obj = dict[str, Any]
_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_REASONS = tuple(f"FieldValue{word}" for word in ("Duplicate", "Forbidden", "Invalid", "Required"))


def check(raw: Any, path: str, causes: list[err.Cause], *, root: bool = False) -> None:
    """Rules of structural schemas: types everywhere, no forbidden keyword, list keys that exist, defaults that fit."""
    if not isinstance(raw, dict):
        causes.append(err.invalid_value(path, raw, "must be a schema object"))
        return
    free = raw.get("x-kubernetes-preserve-unknown-fields") or raw.get("x-kubernetes-int-or-string")
    if not raw.get("type") and not free:
        causes.append(err.required(f"{path}.type", "must not be empty for specified object fields"))
    if raw.get("type") and raw["type"] not in _TYPES:
        causes.append(err.unsupported_value(f"{path}.type", raw["type"], _TYPES))
    for at, rule in enumerate(raw.get("x-kubernetes-validations") or ()):
        if rule.get("reason") not in (None, *_REASONS):
            where = f"{path}.x-kubernetes-validations[{at}].reason"
            causes.append(err.unsupported_value(where, rule["reason"], _REASONS))
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
                "Forbidden: additionalProperties and properties are mutual exclusive",
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
        validate(value, node, "", problems)
        structural.prune(value if isinstance(value, dict | list) else {}, node, unknown)
        causes += [err.Cause(f"{path}.default", item.message, item.reason) for item in problems] + [
            err.invalid_value(f"{path}.default", value, f"must not have unknown fields: {name}") for name in unknown
        ]
    for name, item in (raw.get("properties") or {}).items():
        if root and name == "metadata":
            continue
        check(item, f"{path}.properties[{name}]", causes)
    if isinstance(raw.get("additionalProperties"), dict):
        check(raw["additionalProperties"], f"{path}.additionalProperties", causes)
    if raw.get("items") is not None:
        check(raw["items"], f"{path}.items", causes)


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
