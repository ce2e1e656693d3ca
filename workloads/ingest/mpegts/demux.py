"""MPEG-TS to elementary frames; free of IO (ISO/IEC 13818-1, sections 2.4.3 and 2.4.4).

The first programme counts, and in it the first picture and the first sound that can be taken. Bytes that are no packet
are skipped up to the next one; a packet that is missing costs the frame that it belonged to. Sizes are bounded, because
the peer chooses them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

PACKET_BYTES = 188
SYNC = 0x47
MAX_FRAME_BYTES = 8 * 1024 * 1024
_MAX_SECTION_BYTES = 1024
_MAX_GARBAGE_BYTES = 64 * 1024
_PAT = 0


class Codec(IntEnum):
    """Stream types that are understood."""

    AAC = 0x0F
    H264 = 0x1B
    HEVC = 0x24


_KNOWN = frozenset(Codec)
NAMES = {0x01: "MPEG-1", 0x02: "MPEG-2", 0x03: "MP2", 0x04: "MP2", 0x11: "AAC in LATM", 0x81: "AC-3", 0x87: "E-AC-3"}
"""Stream types that are met and not understood."""


class TransportError(ValueError):
    """The bytes are not MPEG-TS, or hold nothing that can be taken."""


@dataclass(frozen=True, slots=True)
class Access:
    """One PES packet: a picture, or some frames of sound. Times are ticks of 90 kHz, 33 bits; None without one."""

    codec: Codec
    pts: int | None
    dts: int | None
    data: bytes


@dataclass(slots=True)
class _Elementary:
    codec: Codec
    buffer: bytearray
    counter: int = -1
    broken: bool = True


class Demuxer:
    """Feed it bytes. `unknown` names what was there and is not understood; `discontinuities` counts missing packets."""

    def __init__(self) -> None:
        self.discontinuities = 0
        self.unknown: set[str] = set()
        self._rest = bytearray()
        self._garbage = 0
        self._map_pid = -1
        self._sections: dict[int, bytearray] = {}
        self._streams: dict[int, _Elementary] = {}

    @property
    def codecs(self) -> frozenset[Codec]:
        """What is taken."""
        return frozenset(stream.codec for stream in self._streams.values())

    def feed(self, data: bytes) -> list[Access]:
        """What the bytes complete; TransportError when they are no MPEG-TS."""
        rest = self._rest
        rest += data
        found: list[Access] = []
        offset = 0
        while len(rest) - offset >= PACKET_BYTES:
            if rest[offset] != SYNC:
                offset = self._resynchronise(offset)
                continue
            self._garbage = 0
            found += self._packet(bytes(rest[offset : offset + PACKET_BYTES]))
            offset += PACKET_BYTES
        del rest[:offset]
        return found

    def _resynchronise(self, offset: int) -> int:
        """Offset of the next sync byte, or of the end."""
        found = self._rest.find(SYNC, offset + 1)
        following = found if found >= 0 else len(self._rest)
        self._garbage += following - offset
        if self._garbage > _MAX_GARBAGE_BYTES:
            raise TransportError("this is not MPEG-TS")
        return following

    def _packet(self, packet: bytes) -> Iterator[Access]:
        pid = (packet[1] & 0x1F) << 8 | packet[2]
        control, counter = packet[3] >> 4 & 0x03, packet[3] & 0x0F
        start = 4 if control & 0x02 == 0 else 5 + packet[4]
        if packet[1] & 0x80 or not control & 0x01 or start >= PACKET_BYTES:
            return
        payload, begins = packet[start:], bool(packet[1] & 0x40)
        if pid in (_PAT, self._map_pid):
            self._section(pid, payload, begins)
        elif pid in self._streams:
            yield from self._elementary(self._streams[pid], payload, begins, counter)

    def _section(self, pid: int, payload: bytes, begins: bool) -> None:
        """Gather a table over its packets."""
        if begins:
            self._sections[pid] = bytearray(payload[1 + payload[0] :])
        elif pid in self._sections:
            self._sections[pid] += payload
        section = self._sections.get(pid)
        if section is None or len(section) < 3:
            return
        size = 3 + ((section[1] & 0x0F) << 8 | section[2])
        if size > _MAX_SECTION_BYTES + 3:
            del self._sections[pid]
        elif len(section) >= size:
            body = bytes(self._sections.pop(pid)[:size])
            if pid == _PAT:
                self._programmes(body)
            else:
                self._programme(body)

    def _programmes(self, section: bytes) -> None:
        for offset in range(8, len(section) - 7, 4):
            number = section[offset] << 8 | section[offset + 1]
            if number:
                self._map_pid = (section[offset + 2] & 0x1F) << 8 | section[offset + 3]
                return

    def _programme(self, section: bytes) -> None:
        if len(section) < 16 or section[0] != 0x02:
            return
        offset = 12 + ((section[10] & 0x0F) << 8 | section[11])
        taken: dict[int, Codec] = {}
        while offset + 5 <= len(section) - 4:
            kind, pid = section[offset], (section[offset + 1] & 0x1F) << 8 | section[offset + 2]
            offset += 5 + ((section[offset + 3] & 0x0F) << 8 | section[offset + 4])
            if kind not in _KNOWN:
                self.unknown.add(NAMES.get(kind, f"stream type {kind:#04x}"))
            elif not any(_same_kind(Codec(kind), codec) for codec in taken.values()):
                taken[pid] = Codec(kind)
        if taken != {pid: stream.codec for pid, stream in self._streams.items()}:
            self._streams = {pid: _Elementary(codec, bytearray()) for pid, codec in taken.items()}

    def _elementary(self, stream: _Elementary, payload: bytes, begins: bool, counter: int) -> Iterator[Access]:
        if counter == stream.counter:
            return  # a packet may be sent twice
        if stream.counter >= 0 and counter != (stream.counter + 1) & 0x0F:
            self.discontinuities += 1
            stream.broken = True
        stream.counter = counter
        if begins:
            if stream.buffer and not stream.broken:
                yield from _parse(stream)
            stream.buffer.clear()
            stream.broken = False
        if stream.broken:
            return
        stream.buffer += payload
        if len(stream.buffer) > MAX_FRAME_BYTES:
            stream.buffer.clear()
            stream.broken = True
        elif _complete(stream.buffer):
            yield from _parse(stream)
            stream.buffer.clear()
            stream.broken = True  # until the next one begins


def _same_kind(one: Codec, other: Codec) -> bool:
    return (one is Codec.AAC) == (other is Codec.AAC)


def _complete(buffer: bytearray) -> bool:
    """Whether a packet that tells its length is whole."""
    if len(buffer) < 6:
        return False
    size = buffer[4] << 8 | buffer[5]
    return size > 0 and len(buffer) >= 6 + size


def _parse(stream: _Elementary) -> Iterator[Access]:
    """The PES packet in the buffer, if it is one."""
    data = stream.buffer
    if len(data) < 9 or data[:3] != b"\0\0\1" or data[6] & 0xC0 != 0x80:
        return
    flags, start = data[7], 9 + data[8]
    pts = _timestamp(data, 9) if flags & 0x80 and start >= 14 else None
    dts = _timestamp(data, 14) if flags & 0x40 and start >= 19 else pts
    size = data[4] << 8 | data[5]
    end = 6 + size if size else len(data)
    if start < end <= len(data):
        yield Access(stream.codec, pts, dts, bytes(data[start:end]))


def _timestamp(data: bytearray, offset: int) -> int | None:
    if offset + 5 > len(data):
        return None
    high, middle, low = data[offset] >> 1 & 0x07, data[offset + 1 : offset + 3], data[offset + 3 : offset + 5]
    return high << 30 | (int.from_bytes(middle, "big") >> 1) << 15 | int.from_bytes(low, "big") >> 1
