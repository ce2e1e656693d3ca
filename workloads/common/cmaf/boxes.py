"""ISO base media file boxes (ISO/IEC 14496-12): cutting a byte stream into boxes, and walking one; free of IO."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

MAX_BOX_BYTES = 64 * 1024 * 1024


class BoxError(ValueError):
    """The bytes are no boxes."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box inside `data`: its payload is `data[start:end]`."""

    kind: bytes
    start: int
    end: int


def children(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes that fill `data[start:end]`; BoxError when they do not fit."""
    stop = len(data) if end is None else end
    while start < stop:
        if stop - start < 8:
            raise BoxError("truncated box header")
        size, kind = struct.unpack_from(">I4s", data, start)
        if size < 8 or start + size > stop:
            raise BoxError(f"box {kind!r} of {size} bytes")
        yield Box(kind, start + 8, start + size)
        start += size


def find(data: bytes, *path: bytes, start: int = 0, end: int | None = None) -> Box:
    """The first box at `path`; BoxError when there is none."""
    box = Box(b"", start, len(data) if end is None else end)
    for kind in path:
        found = next((child for child in children(data, box.start, box.end) if child.kind == kind), None)
        if found is None:
            raise BoxError(f"no box {kind!r}")
        box = found
    return box


def pack(kind: bytes, *payload: bytes) -> bytes:
    """A box around the payload."""
    body = b"".join(payload)
    return struct.pack(">I4s", len(body) + 8, kind) + body


class BoxReader:
    """Cuts a byte stream into whole top-level boxes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Kind and bytes (header included) of each box that `data` completes; BoxError on nonsense."""
        buffer = self._buffer
        buffer += data
        found = []
        offset = 0
        while len(buffer) - offset >= 8:
            size, kind = struct.unpack_from(">I4s", buffer, offset)
            if not 8 <= size <= MAX_BOX_BYTES:
                raise BoxError(f"box {kind!r} of {size} bytes")
            if len(buffer) - offset < size:
                break
            found.append((bytes(kind), bytes(buffer[offset : offset + size])))
            offset += size
        del buffer[:offset]
        return found
