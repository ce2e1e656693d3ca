"""SRT packets: a header of sixteen bytes, then media or control information; free of IO.

Source: draft-sharabayko-srt-01, section 3. Sequence numbers have 31 bits and wrap, so they are compared by `distance`.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

HEADER_BYTES = 16
MAX_SEQUENCE = 0x7FFFFFFF
_HALF = 0x40000000
_MAX_RANGES = 180
"""A loss report of this many ranges still fits into one datagram."""


class PacketError(ValueError):
    """The datagram is not SRT."""


class Control(IntEnum):
    """Types of control packets."""

    HANDSHAKE = 0
    KEEPALIVE = 1
    ACK = 2
    NAK = 3
    CONGESTION = 4
    SHUTDOWN = 5
    ACKACK = 6
    DROPREQ = 7
    PEERERROR = 8
    USER = 0x7FFF


@dataclass(frozen=True, slots=True)
class DataPacket:
    """Media. `key` is 0 for plain, 1 for the even and 2 for the odd key; `timestamp` is in microseconds."""

    sequence: int
    key: int
    timestamp: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class ControlPacket:
    """Everything else; `info` is the type's own word of the header."""

    kind: Control
    subtype: int
    info: int
    timestamp: int
    body: bytes


def destination(datagram: bytes) -> int:
    """The socket id that the datagram is for, 0 for a new connection; PacketError when it is too short."""
    if len(datagram) < HEADER_BYTES:
        raise PacketError(f"{len(datagram)} bytes are no packet")
    return int.from_bytes(datagram[12:16], "big")


def parse(datagram: bytes) -> DataPacket | ControlPacket:
    """The packet of a datagram; PacketError when there is none."""
    if len(datagram) < HEADER_BYTES:
        raise PacketError(f"{len(datagram)} bytes are no packet")
    first, second, timestamp = struct.unpack_from(">III", datagram)
    if not first & 0x80000000:
        return DataPacket(first, second >> 27 & 0x03, timestamp, datagram[HEADER_BYTES:])
    try:
        kind = Control(first >> 16 & 0x7FFF)
    except ValueError as error:
        raise PacketError(f"control type {first >> 16 & 0x7FFF}") from error
    return ControlPacket(kind, first & 0xFFFF, second, timestamp, datagram[HEADER_BYTES:])


def pack(
    kind: Control, *, to: int, timestamp: int, info: int = 0, subtype: int = 0, body: bytes = b"\0\0\0\0"
) -> bytes:
    """A control packet. An empty body is four zero bytes, because some peers drop bare headers."""
    head = struct.pack(">IIII", 0x80000000 | kind << 16 | subtype, info, timestamp & 0xFFFFFFFF, to)
    return head + body


def pack_ranges(ranges: Sequence[tuple[int, int]]) -> bytes:
    """A loss report's body: single numbers, and ranges whose first number has the top bit set."""
    words: list[int] = []
    for first, last in ranges[:_MAX_RANGES]:
        words += [first] if first == last else [first | 0x80000000, last]
    return struct.pack(f">{len(words)}I", *words)


def distance(later: int, earlier: int) -> int:
    """How far `later` is after `earlier`; negative when it is before."""
    return (later - earlier + _HALF & MAX_SEQUENCE) - _HALF


def after(sequence: int, count: int = 1) -> int:
    """The sequence number `count` further on."""
    return sequence + count & MAX_SEQUENCE


def ranges(sequences: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending sequence numbers as closed ranges."""
    found: list[tuple[int, int]] = []
    for sequence in sequences:
        if found and after(found[-1][1]) == sequence:
            found[-1] = (found[-1][0], sequence)
        else:
            found.append((sequence, sequence))
    return found
