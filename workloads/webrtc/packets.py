"""Frames as RTP packets, cut once for all viewers (RFC 3550, RFC 6184, RFC 7587, RFC 8285); free of IO.

The packets of a frame lie one behind the other, each with room for its header and for the tag that the cipher adds, so
that a viewer's copy is one memory move and one datagram group for a kernel that segments: the packets of a run are of
one size but the last. Every header has room for one transport-wide sequence number; without one it is padding.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

HEADER: Final = struct.Struct(">HHIIHHBHB")
"""RTP's fixed header, then an extension block (RFC 8285, one-byte form) with one element of two bytes."""

HEADER_BYTES: Final = HEADER.size
EXTENSION_PROFILE: Final = 0xBEDE
FIRST_BITS: Final = 0x9000
MARKER: Final = 0x80
MAX_TAG_BYTES: Final = 16
MAX_PACKET_BYTES: Final = 1200
MAX_PAYLOAD_BYTES: Final = MAX_PACKET_BYTES - HEADER_BYTES - MAX_TAG_BYTES - 2
"""Two bytes less, so that a retransmission, which carries the original number, still fits."""

MAX_RUN_PACKETS: Final = 48
_FU_A, _STAP_A = 28, 24
_IDR, _SEI, _SPS, _PPS, _DELIMITER = 5, 6, 7, 8, 9


@dataclass(frozen=True, slots=True)
class Run:
    """Packets that one system call may send: `data` holds them with empty headers, `segment` is their size on the wire.

    Of each of `packets`: offset in `data`, size without the tag, the header's first 16 bits without payload type.
    """

    data: memoryview
    segment: int
    packets: tuple[tuple[int, int, int], ...]


@dataclass(slots=True)
class Frame:
    """One access unit, or one audio packet. `time` is in units of the track's clock since the media epoch."""

    time: int
    key: bool
    pieces: tuple[bytes, ...]
    marker: bool = True
    size: int = 0
    _layouts: dict[int, tuple[Run, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.size = sum(map(len, self.pieces))

    def runs(self, tag_bytes: int) -> tuple[Run, ...]:
        """The packets with room for tags of that size; made once."""
        found = self._layouts.get(tag_bytes)
        if found is None:
            found = self._layouts[tag_bytes] = tuple(_runs(self.pieces, tag_bytes, marker=self.marker))
        return found

    def first_bits(self, number: int) -> int:
        """The header's first 16 bits of one packet, without payload type."""
        return FIRST_BITS | (MARKER if self.marker and number == len(self.pieces) - 1 else 0)


def _runs(pieces: Sequence[bytes], tag_bytes: int, *, marker: bool) -> list[Run]:
    groups: list[list[bytes]] = []
    for piece in pieces:
        last = groups[-1] if groups else None
        if last and len(last) < MAX_RUN_PACKETS and len(piece) <= len(last[0]) and len(last[-1]) == len(last[0]):
            last.append(piece)
        else:
            groups.append([piece])
    runs = []
    left = len(pieces)
    for group in groups:
        data = bytearray()
        packets = []
        for piece in group:
            left -= 1
            bits = FIRST_BITS | (MARKER if marker and not left else 0)
            packets.append((len(data), HEADER_BYTES + len(piece), bits))
            data += bytes(HEADER_BYTES) + piece + bytes(tag_bytes)
        runs.append(Run(memoryview(bytes(data)), HEADER_BYTES + len(group[0]) + tag_bytes, tuple(packets)))
    return runs


def split_units(sample: bytes) -> list[bytes]:
    """The NAL units of a sample whose lengths are four bytes; what is not sound is left out."""
    units = []
    at = 0
    while len(sample) - at >= 4:
        size = int.from_bytes(sample[at : at + 4], "big")
        if not size or at + 4 + size > len(sample):
            break
        units.append(sample[at + 4 : at + 4 + size])
        at += 4 + size
    return units


def h264_payloads(units: Sequence[bytes], parameters: Sequence[bytes] = ()) -> list[bytes]:
    """RTP payloads of one access unit: parameter sets before a key frame in one packet, large units in equal pieces.

    `parameters` are sent with a key frame that brings none.
    """
    sets = [unit for unit in units if unit[0] & 0x1F in (_SPS, _PPS)]
    slices = [unit for unit in units if unit[0] & 0x1F not in (_SPS, _PPS, _SEI, _DELIMITER)]
    if any(unit[0] & 0x1F == _IDR for unit in slices):
        sets = sets or list(parameters)
    found = _aggregate(sets)
    for unit in slices:
        found += _whole(unit)
    return found


def _whole(unit: bytes) -> list[bytes]:
    return [unit] if len(unit) <= MAX_PAYLOAD_BYTES else _fragments(unit)


def _aggregate(units: Sequence[bytes]) -> list[bytes]:
    packed = b"".join(struct.pack(">H", len(unit) & 0xFFFF) + unit for unit in units)
    if len(units) < 2 or len(packed) >= MAX_PAYLOAD_BYTES:
        return [piece for unit in units for piece in _whole(unit)]
    importance = max(unit[0] & 0x60 for unit in units)
    return [bytes((importance | _STAP_A,)) + packed]


def _fragments(unit: bytes) -> list[bytes]:
    indicator, kind, body = unit[0] & 0xE0 | _FU_A, unit[0] & 0x1F, unit[1:]
    count = -(-len(body) // (MAX_PAYLOAD_BYTES - 2))
    size = -(-len(body) // count)
    pieces = []
    for at in range(0, len(body), size):
        flags = (0x80 if at == 0 else 0) | (0x40 if at + size >= len(body) else 0)
        pieces.append(bytes((indicator, flags | kind)) + body[at : at + size])
    return pieces


@dataclass(frozen=True, slots=True)
class RtpHeader:
    """A received packet's header, its payload's place, and its header extensions by identifier."""

    payload_type: int
    marker: bool
    number: int
    stamp: int
    ssrc: int
    start: int
    end: int
    extensions: dict[int, bytes]


def parse_header(data: bytes) -> RtpHeader | None:
    """The header of an RTP packet, None when it is none."""
    if len(data) < 12 or data[0] >> 6 != 2:
        return None
    first, second, number, stamp, ssrc = struct.unpack_from(">BBHII", data)
    start, end = 12 + (first & 0x0F) * 4, len(data)
    extensions: dict[int, bytes] = {}
    if first & 0x10:
        if len(data) < start + 4:
            return None
        profile, words = struct.unpack_from(">HH", data, start)
        start += 4 + words * 4
        if profile == EXTENSION_PROFILE and start <= len(data):
            extensions = _extensions(data[start - words * 4 : start])
    if first & 0x20:
        end -= data[-1]
    if start > end:
        return None
    return RtpHeader(second & 0x7F, bool(second & 0x80), number, stamp, ssrc, start, end, extensions)


def _extensions(block: bytes) -> dict[int, bytes]:
    found = {}
    at = 0
    while at < len(block):
        head = block[at]
        if not head:
            at += 1
            continue
        if head >> 4 == 15:
            break
        size = (head & 0x0F) + 1
        found[head >> 4] = block[at + 1 : at + 1 + size]
        at += 1 + size
    return found
