"""RTCP packets that a sender of media writes and reads (RFC 3550, 4585, 5104; transport-wide feedback); free of IO.

Incoming compounds are parsed only as far as they matter here and only as far as they are sound: the rest is dropped.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202
BYE: Final = 203
TRANSPORT_FEEDBACK: Final = 205
PAYLOAD_FEEDBACK: Final = 206

_NACK, _TWCC = 1, 15
_PLI, _FIR, _AFB = 1, 4, 15
_NTP_EPOCH_SECONDS = 2_208_988_800
_TICK_SECONDS = 0.00025
_BASE_TICK_SECONDS = 0.064


@dataclass(frozen=True, slots=True)
class Report:
    """One report block: what the receiver lost of `ssrc`. `fraction_lost` is 0..1; `lsr` and `dlsr` as on the wire."""

    ssrc: int
    fraction_lost: float
    lost: int
    highest: int
    jitter: int
    lsr: int
    dlsr: int


@dataclass(frozen=True, slots=True)
class Feedback:
    """Transport-wide feedback: arrival in seconds on the receiver's clock, None for lost, from `base` on."""

    base: int
    arrivals: list[float | None]


@dataclass(slots=True)
class Received:
    """All that matters in one compound packet. `nacks` are (media ssrc, sequence numbers); `key_frame_wanted` are the
    media sources that a PLI or FIR asks; `bandwidth` is a REMB in bits per second, 0 without."""

    reports: list[Report] = field(default_factory=list)
    nacks: list[tuple[int, list[int]]] = field(default_factory=list)
    key_frame_wanted: set[int] = field(default_factory=set)
    feedback: list[Feedback] = field(default_factory=list)
    bandwidth: int = 0
    bye: bool = False
    sender: tuple[int, int, int] | None = None


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram of the RTP range is RTCP (RFC 5761)."""
    return len(data) >= 8 and 192 <= data[1] <= 223


def parse(data: bytes) -> Received:
    """What a compound packet says; unsound parts are skipped."""
    received = Received()
    for kind, count, body in _packets(data):
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            _reports(kind, count, body, received)
        elif kind == BYE:
            received.bye = True
        elif kind == TRANSPORT_FEEDBACK and len(body) >= 12:
            _transport(count, body, received)
        elif kind == PAYLOAD_FEEDBACK and len(body) >= 8:
            _payload(count, body, received)
    return received


def _packets(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while len(data) - at >= 4:
        first, kind, words = struct.unpack_from(">BBH", data, at)
        end = at + 4 + words * 4
        if first >> 6 != 2 or end > len(data):
            return
        body = data[at + 4 : end]
        if first & 0x20 and body:
            body = body[: max(0, len(body) - body[-1])]
        yield kind, first & 0x1F, body
        at = end


def _reports(kind: int, count: int, body: bytes, received: Received) -> None:
    at = 4
    if kind == SENDER_REPORT:
        if len(body) < 24:
            return
        ssrc, seconds, fraction, stamp = struct.unpack_from(">IIII", body)
        received.sender = (ssrc, seconds << 32 | fraction, stamp)
        at = 24
    for _ in range(count):
        if len(body) - at < 24:
            return
        ssrc, lost, highest, jitter, lsr, dlsr = struct.unpack_from(">IIIIII", body, at)
        total = lost & 0xFFFFFF
        total -= 1 << 24 if total & 0x800000 else 0
        received.reports.append(Report(ssrc, (lost >> 24) / 256, total, highest, jitter, lsr, dlsr))
        at += 24


def _transport(kind: int, body: bytes, received: Received) -> None:
    (media,) = struct.unpack_from(">I", body, 4)
    if kind == _NACK:
        numbers: list[int] = []
        for at in range(8, len(body) - 3, 4):
            first, mask = struct.unpack_from(">HH", body, at)
            numbers.append(first)
            numbers += [(first + 1 + bit) & 0xFFFF for bit in range(16) if mask >> bit & 1]
        received.nacks.append((media, numbers))
    elif kind == _TWCC:
        feedback = parse_feedback(body[8:])
        if feedback:
            received.feedback.append(feedback)


def _payload(kind: int, body: bytes, received: Received) -> None:
    (media,) = struct.unpack_from(">I", body, 4)
    if kind == _PLI:
        received.key_frame_wanted.add(media)
    elif kind == _FIR:
        received.key_frame_wanted |= {int.from_bytes(body[at : at + 4], "big") for at in range(8, len(body) - 7, 8)}
    elif kind == _AFB and len(body) >= 16 and body[8:12] == b"REMB":
        received.bandwidth = (int.from_bytes(body[13:16], "big") & 0x3FFFF) << (body[13] >> 2)


def parse_feedback(body: bytes) -> Feedback | None:
    """Transport-wide feedback behind the two sources (draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1)."""
    if len(body) < 8:
        return None
    base, count, reference = struct.unpack_from(">HHI", body)
    clock = (reference >> 8) * _BASE_TICK_SECONDS
    symbols: list[int] = []
    at = 8
    while len(symbols) < count:
        if at + 2 > len(body):
            return None
        chunk = body[at] << 8 | body[at + 1]
        at += 2
        if not chunk & 0x8000:
            symbols += [chunk >> 13 & 3] * min(chunk & 0x1FFF, count - len(symbols))
            if not chunk & 0x1FFF:
                return None
        elif chunk & 0x4000:
            symbols += [chunk >> shift & 3 for shift in (12, 10, 8, 6, 4, 2, 0)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    return Feedback(base, arrivals) if (arrivals := _arrivals(symbols[:count], body, at, clock)) is not None else None


def _arrivals(symbols: list[int], body: bytes, at: int, clock: float) -> list[float | None] | None:
    arrivals: list[float | None] = []
    for symbol in symbols:
        if symbol == 1:
            if at >= len(body):
                return None
            clock += body[at] * _TICK_SECONDS
            at += 1
        elif symbol == 2:
            if at + 2 > len(body):
                return None
            clock += int.from_bytes(body[at : at + 2], "big", signed=True) * _TICK_SECONDS
            at += 2
        arrivals.append(clock if symbol in (1, 2) else None)
    return arrivals


def ntp(wall: float) -> int:
    """64-bit NTP time of epoch seconds."""
    return round((wall + _NTP_EPOCH_SECONDS) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def _pack(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0x80 | count, kind, len(body) // 4) + body


def sender_report(ssrc: int, *, wall: float, timestamp: int, packets: int, octets: int, name: bytes) -> bytes:
    """A compound of sender report and canonical name: at `wall` (epoch seconds) the media clock reads `timestamp`."""
    stamp = ntp(wall)
    body = struct.pack(
        ">IIIIII",
        *(ssrc, stamp >> 32, stamp & 0xFFFFFFFF, timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF),
    )
    return _pack(SENDER_REPORT, 0, body) + description(ssrc, name)


def description(ssrc: int, name: bytes) -> bytes:
    """A source description with the canonical name, which is what ties two tracks to one clock."""
    chunk = struct.pack(">IBB", ssrc, 1, len(name)) + name
    return _pack(SOURCE_DESCRIPTION, 1, chunk + bytes(4 - len(chunk) % 4))


def goodbye(*ssrcs: int) -> bytes:
    """The sources end. An empty receiver report comes first, because a compound has to begin with a report."""
    return _pack(RECEIVER_REPORT, 0, struct.pack(">I", ssrcs[0])) + _pack(
        BYE, len(ssrcs), struct.pack(f">{len(ssrcs)}I", *ssrcs)
    )


def receiver_report(ssrc: int, reports: list[Report]) -> bytes:
    """What was received of each source."""
    body = struct.pack(">I", ssrc)
    for report in reports:
        lost = min(255, round(report.fraction_lost * 256)) << 24 | report.lost & 0xFFFFFF
        body += struct.pack(
            ">IIIIII", report.ssrc, lost, report.highest & 0xFFFFFFFF, report.jitter, report.lsr, report.dlsr
        )
    return _pack(RECEIVER_REPORT, len(reports), body)


def nack(ssrc: int, media: int, numbers: list[int]) -> bytes:
    """Ask for lost packets again; `numbers` in order."""
    pairs: list[tuple[int, int]] = []
    for number in numbers:
        distance = (number - pairs[-1][0]) & 0xFFFF if pairs else 0
        if pairs and 0 < distance <= 16:
            pairs[-1] = (pairs[-1][0], pairs[-1][1] | 1 << distance - 1)
        elif not pairs or distance:
            pairs.append((number, 0))
    body = struct.pack(">II", ssrc, media) + b"".join(struct.pack(">HH", *pair) for pair in pairs)
    return _pack(TRANSPORT_FEEDBACK, _NACK, body)


def picture_loss(ssrc: int, media: int) -> bytes:
    """Ask for a key frame."""
    return _pack(PAYLOAD_FEEDBACK, _PLI, struct.pack(">II", ssrc, media))
