"""Transport-wide feedback as a receiver writes it (draft-holmer-rmcat-transport-wide-cc-extensions-01); free of IO.

Without it a browser that publishes never learns what its network carries, and stays at its first few hundred kbit/s.
"""

import struct

from workloads.webrtc.rtcp import TRANSPORT_FEEDBACK

_TICK_SECONDS = 0.00025
_BASE_SECONDS = 0.064
_MAX_PACKETS = 400
_SYMBOLS = 7
_TWCC = 15


class Arrivals:
    """Notes when numbered packets came; `feedback` tells the sender."""

    def __init__(self) -> None:
        self._times: dict[int, float] = {}
        self._next: int | None = None
        self._highest = 0
        self._count = 0

    def note(self, low: int, now: float) -> None:
        """The packet with this 16-bit number came."""
        if self._next is None:
            self._next = self._highest = low
        number = self._highest + ((low - self._highest + 0x8000) & 0xFFFF) - 0x8000
        self._highest = max(self._highest, number)
        if number >= self._next:
            self._times.setdefault(number, now)

    def feedback(self, ssrc: int, media: int) -> bytes | None:
        """What came since the last one, None when nothing did."""
        if not self._times or self._next is None:
            return None
        base = max(self._next, self._highest - _MAX_PACKETS + 1)
        times = [self._times.get(number) for number in range(base, self._highest + 1)]
        self._times.clear()
        self._next = self._highest + 1
        known = [time for time in times if time is not None]
        if not known:
            return None
        reference = int(known[0] / _BASE_SECONDS)
        symbols, deltas = _encode(times, reference * _BASE_SECONDS)
        chunks = b""
        for at in range(0, len(symbols), _SYMBOLS):
            word = 0xC000
            for place, symbol in enumerate(symbols[at : at + _SYMBOLS]):
                word |= symbol << 12 - 2 * place
            chunks += struct.pack(">H", word)
        body = struct.pack(">IIHHI", ssrc, media, base & 0xFFFF, len(times), (reference & 0xFFFFFF) << 8 | self._count)
        self._count = (self._count + 1) & 0xFF
        body += chunks + deltas
        padding = -len(body) % 4
        body += bytes(padding - 1) + bytes((padding,)) if padding else b""
        flag = 0x20 if padding else 0
        return struct.pack(">BBH", 0x80 | flag | _TWCC, TRANSPORT_FEEDBACK, len(body) // 4) + body


def _encode(times: list[float | None], clock: float) -> tuple[list[int], bytes]:
    symbols, deltas = [], b""
    ticks = round(clock / _TICK_SECONDS)
    for time in times:
        if time is None:
            symbols.append(0)
            continue
        delta = round(time / _TICK_SECONDS) - ticks
        delta = max(-0x8000, min(0x7FFF, delta))
        ticks += delta
        if 0 <= delta <= 0xFF:
            symbols.append(1)
            deltas += bytes((delta,))
        else:
            symbols.append(2)
            deltas += struct.pack(">h", delta)
    return symbols, deltas
