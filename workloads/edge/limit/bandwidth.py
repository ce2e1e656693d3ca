"""Caps on bits per second: rungs that a viewer may not have leave the master playlist, and a bucket bounds the rest.

Free of IO.
"""

import re

_VARIANT = re.compile(rb"#EXT-X-STREAM-INF:(?:[^\r\n]*[:,])?BANDWIDTH=(\d{1,12})[^\r\n]*\r?\n[^\r\n]+\r?\n?")
BURST_SECONDS = 10.0


class Bucket:
    """A token bucket that may go into debt: what was begun is sent whole, and the next one waits."""

    def __init__(self, bits_per_second: float, now: float, burst_seconds: float = BURST_SECONDS) -> None:
        self.rate = bits_per_second / 8
        self._most = self.rate * burst_seconds
        self._left = self._most
        self._at = now

    def wait(self, now: float) -> float:
        """Seconds until something may be sent; 0 when it may now."""
        self._fill(now)
        return 0.0 if self._left > 0 else -self._left / self.rate

    def take(self, size: int, now: float) -> None:
        """This many bytes are sent."""
        self._fill(now)
        self._left -= size

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._left = min(self._most, self._left + (now - self._at) * self.rate)
            self._at = now


def cap_master(playlist: bytes, bits_per_second: int) -> bytes:
    """The master playlist without variants above the cap; the smallest one always stays."""
    found = [(int(match[1]), match.span()) for match in _VARIANT.finditer(playlist)]
    if not found:
        return playlist
    least = min(rate for rate, _ in found)
    out, at = bytearray(), 0
    for rate, (start, end) in found:
        out += playlist[at:start]
        if rate <= bits_per_second or rate == least:
            out += playlist[start:end]
        at = end
    return bytes(out + playlist[at:])
