"""Values against the validation keywords of a structural schema; causes are worded as upstream words them."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from hack.devcluster.apiserver import fieldsets, schema
from hack.devcluster.apiserver.errors import Cause, duplicate, invalid_value, required, show, unsupported_value
from hack.devcluster.apiserver.patches import same
from hack.devcluster.apiserver.schema import Node

Raw = Mapping[str, Any]


def validate(value: Any, node: Node, path: str, causes: list[Cause]) -> None:
    """Add a cause for everything wrong below `path`."""
    raw = node.raw
    if raw is None:
        return
    if value is None:
        if not raw.get("nullable") and node.type != schema.ANY:
            causes.append(_type_error(path, value, raw.get("type", "object")))
        return
    before = len(causes)
    _types(value, node, raw, path, causes)
    if len(causes) > before:
        return
    _keywords(value, raw, path, causes)
    if isinstance(value, dict):
        _members(value, node, raw, path, causes)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            validate(item, node.items or schema.ANYTHING, f"{path}[{at}]", causes)
        _unique(value, node, path, causes)
    _combinations(value, raw, path, causes)


def _type_error(path: str, value: Any, wanted: str) -> Cause:
    shown = "null" if value is None else show(_kind(value))
    return Cause(
        path,
        f"Invalid value: {shown}: {path} in body must be of type {wanted}: {show(_kind(value))}",
        "FieldValueTypeInvalid",
    )


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _fits(value: Any, kind: str) -> bool:
    actual = _kind(value)
    if kind == "number":
        return actual in ("number", "integer")
    if kind == "integer":
        return actual == "integer" or (actual == "number" and float(value).is_integer())
    return actual == kind


def _types(value: Any, node: Node, raw: Raw, path: str, causes: list[Cause]) -> None:
    if node.type == schema.INT_OR_STRING:
        if _kind(value) not in ("integer", "string"):
            causes.append(_type_error(path, value, "integer,string"))
    elif raw.get("type") and not _fits(value, raw["type"]):
        causes.append(_type_error(path, value, raw["type"]))


def _keywords(value: Any, raw: Raw, path: str, causes: list[Cause]) -> None:
    where = path or "(root)"
    if "enum" in raw and not any(same(value, item) for item in raw["enum"]):
        causes.append(unsupported_value(path, value, raw["enum"]))
    if isinstance(value, str):
        _string(value, raw, path, where, causes)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        _number(value, raw, path, where, causes)
    elif isinstance(value, list):
        _sizes(len(value), raw, ("minItems", "maxItems"), path, where, "items", causes)
        if raw.get("uniqueItems") and any(same(a, b) for i, a in enumerate(value) for b in value[:i]):
            causes.append(invalid_value(path, value, f"{where} in body shouldn't contain duplicates"))
    elif isinstance(value, dict):
        _sizes(len(value), raw, ("minProperties", "maxProperties"), path, where, "properties", causes)


def _string(value: str, raw: Raw, path: str, where: str, causes: list[Cause]) -> None:
    length = len(value)
    if "maxLength" in raw and length > raw["maxLength"]:
        causes.append(Cause(path, f"Too long: may not be more than {raw['maxLength']} bytes", "FieldValueTooLong"))
    if "minLength" in raw and length < raw["minLength"]:
        causes.append(invalid_value(path, value, f"{where} in body should be at least {raw['minLength']} chars long"))
    if "pattern" in raw and not _pattern(raw["pattern"]).search(value):
        causes.append(invalid_value(path, value, f"{where} in body should match '{raw['pattern']}'"))
    check = FORMATS.get(str(raw.get("format", "")).replace("_", "-"))
    if check is not None and not check(value):
        why = f"Invalid value: {show(value)}: {where} in body must be of type {raw['format']}: {show(value)}"
        causes.append(Cause(path, why, "FieldValueTypeInvalid"))


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    """Go's RE2 syntax is a subset of Python's, but for `\\z` and the final `$`, which in Go is the very end."""
    return re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", text.replace(r"\z", r"\Z")))


def _number(value: float, raw: Raw, path: str, where: str, causes: list[Cause]) -> None:
    if "maximum" in raw and (value > raw["maximum"] or (raw.get("exclusiveMaximum") and value == raw["maximum"])):
        word = "less than" if raw.get("exclusiveMaximum") else "less than or equal to"
        causes.append(invalid_value(path, value, f"{where} in body should be {word} {_plain(raw['maximum'])}"))
    if "minimum" in raw and (value < raw["minimum"] or (raw.get("exclusiveMinimum") and value == raw["minimum"])):
        word = "greater than" if raw.get("exclusiveMinimum") else "greater than or equal to"
        causes.append(invalid_value(path, value, f"{where} in body should be {word} {_plain(raw['minimum'])}"))
    if raw.get("multipleOf") and abs(value / raw["multipleOf"] - round(value / raw["multipleOf"])) > 1e-9:
        causes.append(
            invalid_value(path, value, f"{where} in body should be a multiple of {_plain(raw['multipleOf'])}")
        )
    bits = {"int32": 31, "int64": 63}.get(str(raw.get("format", "")))
    if bits and raw.get("type") == "integer" and not -(2**bits) <= value < 2**bits:
        causes.append(
            invalid_value(path, value, f"{where} in body must be of type {raw['format']}: {show(_kind(value))}")
        )


def _plain(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _sizes(count: int, raw: Raw, names: tuple[str, str], path: str, where: str, word: str, causes: list[Cause]) -> None:
    low, high = raw.get(names[0]), raw.get(names[1])
    if high is not None and count > high:
        causes.append(Cause(path, f"Too many: {count}: must have at most {high} {word}", "FieldValueTooMany"))
    if low is not None and count < low:
        causes.append(Cause(path, f"Invalid value: {count}: {where} in body should have at least {low} {word}"))


def _members(value: dict[str, Any], node: Node, raw: Raw, path: str, causes: list[Cause]) -> None:
    for name in raw.get("required") or ():
        if name not in value:
            causes.append(required(f"{path}.{name}" if path else name))
    for key, item in value.items():
        child = node.fields.get(key)
        if child is not None:
            validate(item, child, f"{path}.{key}" if path else key, causes)
        elif node.type == schema.MAP and node.values is not None:
            validate(item, node.values, f"{path}.{key}" if path else key, causes)


def _unique(value: list[Any], node: Node, path: str, causes: list[Cause]) -> None:
    if not fieldsets.is_granular_list(node):
        return
    seen: set[str] = set()
    for at, item in enumerate(value):
        try:
            element = fieldsets.item_element(item, node)
        except (KeyError, AttributeError, TypeError):
            continue
        if element in seen:
            shown = item if node.list_type == "set" else {key: item.get(key) for key in node.keys}
            causes.append(duplicate(f"{path}[{at}]", shown))
        seen.add(element)


def _combinations(value: Any, raw: Raw, path: str, causes: list[Cause]) -> None:
    if raw.get("x-kubernetes-int-or-string") and _is_int_or_string(raw):
        return
    where = path or "(root)"
    for part in raw.get("allOf") or ():
        causes += _loose(value, part, path)
    if raw.get("anyOf") and all(_loose(value, part, path) for part in raw["anyOf"]):
        causes.append(Cause(path, f'Invalid value: "": {where} in body must validate at least one schema (anyOf)'))
    if raw.get("oneOf"):
        passed = sum(not _loose(value, part, path) for part in raw["oneOf"])
        if passed != 1:
            found = "Found none valid" if passed == 0 else f"Found {passed} valid alternatives"
            causes.append(
                Cause(
                    path, f'Invalid value: "": {where} in body must validate one and only one schema (oneOf). {found}'
                )
            )
    if raw.get("not") and not _loose(value, raw["not"], path):
        causes.append(Cause(path, f'Invalid value: "": {where} in body must not validate the schema (not)'))


def _is_int_or_string(raw: Raw) -> bool:
    kinds = [item.get("type") for item in raw.get("anyOf") or ()]
    return kinds == ["integer", "string"]


def _loose(value: Any, raw: Raw, path: str) -> list[Cause]:
    """Causes of a partial schema inside allOf, anyOf, oneOf, not."""
    causes: list[Cause] = []
    if raw.get("type") and not _fits(value, raw["type"]):
        return [_type_error(path, value, raw["type"])]
    _keywords(value, raw, path, causes)
    if isinstance(value, dict):
        for name in raw.get("required") or ():
            if name not in value:
                causes.append(required(f"{path}.{name}" if path else name))
        for key, part in (raw.get("properties") or {}).items():
            if key in value:
                causes += _loose(value[key], part, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and raw.get("items"):
        for at, item in enumerate(value):
            causes += _loose(item, raw["items"], f"{path}[{at}]")
    _combinations(value, raw, path, causes)
    return causes


def _try(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, binascii.Error):
            return False
        return True

    return check


def _date_time(text: str) -> datetime:
    if not re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$", text):
        raise ValueError(text)
    return datetime.fromisoformat(text.upper().replace(" ", "T"))


def _uri(text: str) -> None:
    if not urllib.parse.urlsplit(text).scheme and not text.startswith("/"):
        raise ValueError(text)


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _try(date.fromisoformat),
    "date-time": _try(_date_time),
    "datetime": _try(_date_time),
    "byte": _try(lambda text: base64.b64decode(text, validate=True)),
    "ipv4": _try(ipaddress.IPv4Address),
    "ipv6": _try(ipaddress.IPv6Address),
    "cidr": _try(lambda text: ipaddress.ip_network(text, strict=False)),
    "uuid": _try(uuid.UUID),
    "uri": _try(_uri),
    "email": _matches(r"[^@\s]+@[^@\s]+"),
    "hostname": _matches(r"(?=.{1,255}$)[A-Za-z0-9]([-A-Za-z0-9]{0,62})(\.[A-Za-z0-9][-A-Za-z0-9]{0,62})*\.?"),
    "mac": _matches(r"([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}"),
    "duration": _matches(r"[+-]?(\d+(\.\d*)?|\.\d+)?\s*(ns|us|µs|ms|s|m|h|d|w|[a-z]+)(\d+(\.\d*)?\s*[a-zµ]+)*|0"),
}
