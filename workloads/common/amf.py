"""AMF0 (Action Message Format), the value notation of RTMP commands and of FLV metadata; free of IO.

Values map to Python: number -> float, boolean -> bool, string -> str, object and ECMA array -> dict, strict array ->
list, null, undefined and unsupported -> None, date -> float (milliseconds since 1970). Nesting and length are
bounded, because the bytes come from strangers. Source: Adobe "Action Message Format -- AMF 0" (2007).
"""

import struct
from collections.abc import Sequence
from typing import Any

MAX_DEPTH = 16
MAX_VALUES = 4096

_NUMBER, _BOOLEAN, _STRING, _OBJECT = 0x00, 0x01, 0x02, 0x03
_NULL, _UNDEFINED, _REFERENCE, _ECMA_ARRAY, _OBJECT_END = 0x05, 0x06, 0x07, 0x08, 0x09
_STRICT_ARRAY, _DATE, _LONG_STRING, _UNSUPPORTED, _XML, _TYPED_OBJECT = 0x0A, 0x0B, 0x0C, 0x0D, 0x0F, 0x10

_F64 = struct.Struct(">d")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")


class AmfError(ValueError):
    """The bytes are not AMF0, or nest too deep."""


def encode(*values: Any) -> bytes:
    """The values one after the other; dict becomes an object, list a strict array."""
    out = bytearray()
    for value in values:
        _encode(value, out)
    return bytes(out)


def decode(data: bytes) -> list[Any]:
    """All values in `data`; AmfError when it is not AMF0."""
    reader = _Reader(data)
    values = []
    try:
        while reader.offset < len(data):
            values.append(reader.value(0))
    except (struct.error, IndexError) as error:
        raise AmfError("truncated value") from error
    return values


def _encode(value: Any, out: bytearray) -> None:
    if value is None:
        out.append(_NULL)
    elif isinstance(value, bool):
        out += bytes((_BOOLEAN, value))
    elif isinstance(value, int | float):
        out.append(_NUMBER)
        out += _F64.pack(value)
    elif isinstance(value, str):
        _encode_string(value, out)
    elif isinstance(value, dict):
        out.append(_OBJECT)
        for key, item in value.items():
            _encode_key(key, out)
            _encode(item, out)
        out += b"\x00\x00" + bytes((_OBJECT_END,))
    elif isinstance(value, Sequence):
        out.append(_STRICT_ARRAY)
        out += _U32.pack(len(value))
        for item in value:
            _encode(item, out)
    else:
        raise AmfError(f"no AMF0 form for {type(value).__name__}")


def _encode_string(value: str, out: bytearray) -> None:
    raw = value.encode()
    if len(raw) <= 0xFFFF:
        out.append(_STRING)
        out += _U16.pack(len(raw))
    else:
        out.append(_LONG_STRING)
        out += _U32.pack(len(raw))
    out += raw


def _encode_key(key: str, out: bytearray) -> None:
    raw = str(key).encode()
    if len(raw) > 0xFFFF:
        raise AmfError("key longer than 65535 bytes")
    out += _U16.pack(len(raw)) + raw


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0
        self._budget = MAX_VALUES

    def value(self, depth: int) -> Any:
        self._budget -= 1
        if depth > MAX_DEPTH or self._budget < 0:
            raise AmfError("nests too deep or holds too many values")
        marker = self.data[self.offset]
        self.offset += 1
        if marker in (_OBJECT, _ECMA_ARRAY, _TYPED_OBJECT):
            return self._mapping(marker, depth)
        if marker == _STRICT_ARRAY:
            return [self.value(depth + 1) for _ in range(min(self._u32(), MAX_VALUES + 1))]
        return self._scalar(marker)

    def _scalar(self, marker: int) -> Any:
        if marker == _NUMBER:
            return self._f64()
        if marker == _BOOLEAN:
            return self._take(1) != b"\x00"
        if marker == _STRING:
            return self._text(self._u16())
        if marker in (_LONG_STRING, _XML):
            return self._text(self._u32())
        if marker in (_NULL, _UNDEFINED, _UNSUPPORTED):
            return None
        if marker == _REFERENCE:
            self._u16()
            return None
        if marker == _DATE:
            milliseconds = self._f64()
            self._take(2)
            return milliseconds
        raise AmfError(f"unknown marker 0x{marker:02x}")

    def _mapping(self, marker: int, depth: int) -> dict[str, Any]:
        if marker == _ECMA_ARRAY:
            self._u32()  # an approximate count that real encoders get wrong: the end marker decides
        elif marker == _TYPED_OBJECT:
            self._text(self._u16())
        found: dict[str, Any] = {}
        while True:
            key = self._text(self._u16())
            if self.data[self.offset] == _OBJECT_END and not key:
                self.offset += 1
                return found
            found[key] = self.value(depth + 1)

    def _take(self, size: int) -> bytes:
        end = self.offset + size
        if end > len(self.data):
            raise AmfError("truncated value")
        raw = self.data[self.offset : end]
        self.offset = end
        return raw

    def _text(self, size: int) -> str:
        return self._take(size).decode("utf-8", "replace")

    def _u16(self) -> int:
        return int(_U16.unpack(self._take(2))[0])

    def _u32(self) -> int:
        return int(_U32.unpack(self._take(4))[0])

    def _f64(self) -> float:
        return float(_F64.unpack(self._take(8))[0])
