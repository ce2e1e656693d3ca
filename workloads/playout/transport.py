"""MPEG transport stream (ISO/IEC 13818-1), as far as joining several of them into one asks for it; free of IO.

Every source is its own encoder with its own clock and counters. The joint moves its time stamps and clock references
onto the timeline of the publication and counts the packets of each PID through, so that the publisher sees one stream
that never jumps back. Only whole frames are passed on: a source that is cut leaves no half picture.
"""

from collections.abc import Iterator

PACKET_BYTES, SYNC = 188, 0x47
CLOCK = 90_000
WRAP = 1 << 33
"""Time stamps have 33 bits and wrap after 26.5 hours; differences are taken modulo that."""
VIDEO_PID, AUDIO_PID = 0x100, 0x101
MEDIA_PIDS = (VIDEO_PID, AUDIO_PID)


class TransportError(ValueError):
    """The bytes are no transport stream."""


def since(later: int, earlier: int) -> int:
    """`later - earlier` in ticks on the circle of 33 bits; negative when it is before."""
    return (later - earlier + WRAP // 2) % WRAP - WRAP // 2


class Packets:
    """Cuts bytes into packets."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Whole packets; TransportError when the stream lost its step."""
        data = self._rest + data
        whole = len(data) - len(data) % PACKET_BYTES
        self._rest = data[whole:]
        for at in range(0, whole, PACKET_BYTES):
            if data[at] != SYNC:
                raise TransportError("a packet does not begin with the sync byte")
            yield data[at : at + PACKET_BYTES]


def pid_of(packet: bytes) -> int:
    """The packet's PID."""
    return (packet[1] & 0x1F) << 8 | packet[2]


def frame_time(packet: bytes) -> int | None:
    """Decoding time of the frame that begins in this packet (PTS where there is no DTS); None when none does."""
    at = _pes_header(packet)
    if at is None:
        return None
    flags = packet[at + 7] >> 6
    if flags == 0:
        return None
    return _read_time(packet, at + (14 if flags == 3 else 9))


class Joint:
    """The publication's timeline: sources come and go, time goes on. `now` is where it stands, in ticks."""

    def __init__(self) -> None:
        self._counters: dict[int, int] = {}
        self._last: dict[int, int] = {}

    def gap_free(self, first: dict[int, int], *, frame_ticks: int, wanted: int) -> int:
        """Ticks to add to a source whose streams begin at `first`: to `wanted` for its earliest frame, or later when
        what was passed on already reaches further."""
        earliest = min(first.values(), key=lambda value: since(value, first[min(first)]))
        shift = wanted - earliest
        for pid, value in first.items():
            if pid in self._last:
                behind = since(self._last[pid] + frame_ticks, value + shift)
                shift += max(0, behind)
        return shift % WRAP

    def reaches(self) -> int | None:
        """The latest time that was passed on."""
        values = list(self._last.values())
        return max(values, key=lambda value: since(value, values[0])) if values else None

    def emit(self, frame: list[bytes], shift: int) -> bytes:
        """The packets of one frame, or one packet of tables, on the publication's timeline."""
        out = bytearray()
        for packet in frame:
            moved = bytearray(packet)
            pid = pid_of(packet)
            _shift_clock(moved, shift)
            at = _pes_header(packet)
            if at is not None:
                _shift_times(moved, at, shift)
                time = frame_time(bytes(moved))
                if time is not None:
                    self._last[pid] = time
            if packet[3] & 0x10:
                self._counters[pid] = (self._counters.get(pid, -1) + 1) & 0x0F
            moved[3] = (packet[3] & 0xF0) | (self._counters.get(pid, 0) & 0x0F)
            out += moved
        return bytes(out)


class Frames:
    """Collects the packets of a source into whole frames."""

    def __init__(self) -> None:
        self._packets = Packets()
        self._open: dict[int, list[bytes]] = {}
        self.first: dict[int, int] = {}

    @property
    def begun(self) -> bool:
        """Whether both streams have shown a frame."""
        return len(self.first) == len(MEDIA_PIDS)

    def feed(self, data: bytes) -> Iterator[tuple[list[bytes], int | None]]:
        """(packets, decoding time) of each whole frame, and of each packet of tables with None."""
        for packet in self._packets.feed(data):
            pid = pid_of(packet)
            if pid not in MEDIA_PIDS:
                yield [packet], None
                continue
            time = frame_time(packet)
            if time is not None:
                self.first.setdefault(pid, time)
                if pid in self._open:
                    yield self._open[pid], frame_time(self._open[pid][0])
                self._open[pid] = [packet]
            elif pid in self._open:
                self._open[pid].append(packet)


def _payload_at(packet: bytes) -> int:
    """Where the payload begins."""
    return 5 + packet[4] if packet[3] & 0x20 else 4


def _pes_header(packet: bytes) -> int | None:
    """Where a PES header begins in this packet, when one does and is whole."""
    if not packet[1] & 0x40 or not packet[3] & 0x10 or pid_of(packet) not in MEDIA_PIDS:
        return None
    at = _payload_at(packet)
    if at + 19 > PACKET_BYTES or packet[at : at + 3] != b"\x00\x00\x01":
        return None
    return at


def _read_time(packet: bytes | bytearray, at: int) -> int:
    a, b, c, d, e = packet[at : at + 5]
    return (a >> 1 & 0x07) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1


def _write_time(packet: bytearray, at: int, value: int) -> None:
    packet[at] = (packet[at] & 0xF0) | (value >> 30 & 0x07) << 1 | 1
    packet[at + 1] = value >> 22 & 0xFF
    packet[at + 2] = (value >> 15 & 0x7F) << 1 | 1
    packet[at + 3] = value >> 7 & 0xFF
    packet[at + 4] = (value & 0x7F) << 1 | 1


def _shift_times(packet: bytearray, at: int, shift: int) -> None:
    flags = packet[at + 7] >> 6
    if flags & 2:
        _write_time(packet, at + 9, (_read_time(packet, at + 9) + shift) % WRAP)
    if flags == 3:
        _write_time(packet, at + 14, (_read_time(packet, at + 14) + shift) % WRAP)


def _shift_clock(packet: bytearray, shift: int) -> None:
    """Move the programme clock reference, where the packet carries one."""
    if not packet[3] & 0x20 or packet[4] < 7 or not packet[5] & 0x10:
        return
    raw = int.from_bytes(packet[6:12], "big")
    base, rest = raw >> 15, raw & 0x7FFF
    packet[6:12] = (((base + shift) % WRAP) << 15 | rest).to_bytes(6, "big")
