"""Packets of one source in order again: what came late waits its turn, what is missing is asked for; free of IO.

Also counts what a receiver report tells (RFC 3550, 6.4.1, A.3, A.8). Time is given by the caller, in seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from workloads.webrtc.packets import RtpHeader
from workloads.webrtc.rtcp import Report

MAX_WAIT_SECONDS = 0.3
MAX_GAP = 500
_ASK_AGAIN_SECONDS = 0.05
_MAX_ASKS = 5
_RESTART = 3000


@dataclass(frozen=True, slots=True)
class Arrived:
    """A packet in its turn; `after_loss` when packets before it are given up."""

    header: RtpHeader
    payload: bytes
    after_loss: bool


@dataclass(slots=True)
class _Missing:
    since: float
    asked: float = -1e9
    asks: int = 0


class Reorder:
    """`push` packets, take what `pop` gives; `wanted` are the numbers to ask for again."""

    def __init__(self, ssrc: int, clock: int) -> None:
        self.ssrc = ssrc
        self._clock = clock
        self._next = -1
        self._highest = 0
        self._first = 0
        self._held: dict[int, tuple[RtpHeader, bytes]] = {}
        self._missing: dict[int, _Missing] = {}
        self._lost = False
        self._received = self._expected_before = self._received_before = 0
        self._transit: float | None = None
        self._jitter = 0.0
        self.report_stamp = 0
        self.report_at = 0.0

    def push(self, header: RtpHeader, payload: bytes, now: float, *, repeated: bool = False) -> None:
        """Take a packet; `repeated` for a retransmission, whose time of arrival says nothing."""
        if self._next < 0:
            self._next = self._highest = self._first = header.number + 0x10000
        number = self._highest + ((header.number - self._highest + 0x8000) & 0xFFFF) - 0x8000
        if abs(number - self._highest) > _RESTART:
            self._restart(header)
            number = self._highest
        if number in self._held or number < self._next:
            return
        self._received += 1
        if not repeated:
            self._measure(header.stamp, now)
        self._missing.pop(number, None)
        for gap in range(self._highest + 1, number):
            self._missing[gap] = _Missing(now)
        self._highest = max(self._highest, number)
        self._held[number] = (header, payload)

    def pop(self, now: float) -> Iterator[Arrived]:
        """The packets whose turn it is."""
        while self._held:
            if self._next not in self._held:
                missing = self._missing.get(self._next)
                patient = missing and now - missing.since < MAX_WAIT_SECONDS and len(self._held) < MAX_GAP
                if patient:
                    return
                self._missing.pop(self._next, None)
                self._next += 1
                self._lost = True
                continue
            header, payload = self._held.pop(self._next)
            self._next += 1
            lost, self._lost = self._lost, False
            yield Arrived(header, payload, lost)

    def wanted(self, now: float) -> list[int]:
        """16-bit numbers to ask for now, each a few times at most."""
        due = []
        for number, missing in sorted(self._missing.items()):
            if missing.asks < _MAX_ASKS and now - missing.asked >= _ASK_AGAIN_SECONDS:
                missing.asked = now
                missing.asks += 1
                due.append(number & 0xFFFF)
        return due[:MAX_GAP]

    def report(self, now: float) -> Report:
        """The receiver report's block since the last one."""
        expected = self._highest - self._first + 1 if self._next >= 0 else 0
        interval = expected - self._expected_before
        got = self._received - self._received_before
        self._expected_before, self._received_before = expected, self._received
        fraction = max(0, interval - got) / interval if interval > 0 else 0.0
        delay = round((now - self.report_at) * 65536) if self.report_stamp else 0
        lost = max(-0x800000, min(0x7FFFFF, expected - self._received))
        jitter = round(self._jitter)
        return Report(self.ssrc, fraction, lost, self._highest, jitter, self.report_stamp, delay & 0xFFFFFFFF)

    def _restart(self, header: RtpHeader) -> None:
        """The sender began to count anew."""
        self._held.clear()
        self._missing.clear()
        self._next = self._highest = self._first = header.number + 0x10000
        self._received = self._expected_before = self._received_before = 0
        self._lost = True

    def _measure(self, stamp: int, now: float) -> None:
        transit = now * self._clock - stamp
        if self._transit is not None:
            change = abs((transit - self._transit + 0x80000000) % 0x100000000 - 0x80000000)
            self._jitter += (change - self._jitter) / 16
        self._transit = transit
