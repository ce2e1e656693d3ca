"""Reads Kubernetes' protobuf bodies into the same plain data that JSON gives. Answers stay JSON, which every client
accepts.

The wire format is proto2 behind the magic `k8s\\0` and a `runtime.Unknown` envelope. Go writes zero values of fields
that are no pointers; JSON would omit them, so they are dropped here.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from hack.devcluster.apiserver.conform import format_time
from hack.devcluster.apiserver.errors import bad_request
from hack.devcluster.apiserver.schema import DATA

MEDIA = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
_GROUPS = {"": "core", "rbac.authorization.k8s.io": "rbac", "networking.k8s.io": "networking", "meta.k8s.io": "meta"}


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[int, tuple[str, str, str]]]:
    raw = msgspec.json.decode((DATA / "proto.json").read_bytes())
    return {name: {int(number): tuple(item) for number, item in fields.items()} for name, fields in raw.items()}


def decode(body: bytes) -> dict[str, Any]:
    """The object in a body. 400 when it is malformed or of a kind without a table."""
    if not body.startswith(MAGIC):
        raise bad_request("the protobuf body does not start with the Kubernetes envelope")
    try:
        head, raw = _envelope(body[len(MAGIC) :])
        message = _message_name(head["apiVersion"], head["kind"])
        if message not in _table():
            raise bad_request(f"{head['kind']} in {head['apiVersion']} is not read from protobuf; send JSON")
        return head | _message(raw, message)
    except (LookupError, struct.error, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as problem:
        raise bad_request(f"unable to decode the protobuf body: {problem!r}") from problem


def _message_name(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    if kind == "DeleteOptions":
        return "meta/v1.DeleteOptions"
    return f"{_GROUPS.get(group, group.split('.')[0])}/{version}.{kind}"


def _envelope(data: bytes) -> tuple[dict[str, str], bytes]:
    head = {"apiVersion": "", "kind": ""}
    raw = b""
    for number, value in _fields(data):
        if number == 1:
            for inner, text in _fields(value):
                head["apiVersion" if inner == 1 else "kind"] = text.decode()
        elif number == 2:
            raw = value
    return head, raw


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, int for varint and fixed, bytes for the rest)."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
        elif wire == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise IndexError("a field is longer than the body")
            yield number, data[at : at + size]
            at += size
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            yield number, data[at : at + size]
            at += size
        else:
            raise IndexError(f"wire type {wire} is not used by Kubernetes")


def _message(data: bytes, name: str) -> dict[str, Any]:
    spec = _table()[name]
    result: dict[str, Any] = {}
    for number, raw in _fields(data):
        if number not in spec:
            continue
        alias, code, flags = spec[number]
        if code[0] == "[":
            result.setdefault(alias, []).append(_value(raw, code[1:]))
        elif code[0] == "{":
            key, value = _entry(raw, code[1:])
            result.setdefault(alias, {})[key] = value
        else:
            value = _value(raw, code)
            if "<" in flags:
                result.update(value)
            elif "p" in flags or value not in ("", 0, False, None):
                result[alias] = value
    return result


def _entry(raw: bytes, code: str) -> tuple[str, Any]:
    key, value = "", _value(b"", code) if code not in ("i", "b") else 0
    for number, part in _fields(raw):
        if number == 1:
            key = part.decode()
        else:
            value = _value(part, code)
    return key, value


def _value(raw: Any, code: str) -> Any:
    match code:
        case "s":
            return raw.decode()
        case "i":
            return raw - (1 << 64) if raw >= 1 << 63 else raw
        case "b":
            return bool(raw)
        case "B":
            return base64.b64encode(raw).decode()
        case "d":
            return struct.unpack("<d", raw)[0]
        case "T" | "U":
            return _time(raw, micro=code == "U")
        case "Q":
            return next((value.decode() for number, value in _fields(raw) if number == 1), "0")
        case "I":
            parts = dict(_fields(raw))
            return parts.get(3, b"").decode() if parts.get(1) else _value(parts.get(2, 0), "i")
        case "F" | "R":
            body = next((value for number, value in _fields(raw) if number == 1), b"{}")
            return msgspec.json.decode(body or b"{}")
        case "D":
            return f"{dict(_fields(raw)).get(1, 0) / 1e9:g}s"
    return _message(raw, code)


def _time(raw: bytes, *, micro: bool) -> str | None:
    parts = dict(_fields(raw))
    if not parts:
        return None
    seconds = _value(parts.get(1, 0), "i")
    moment = datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=parts.get(2, 0) // 1000)
    return format_time(moment, micro=micro)
