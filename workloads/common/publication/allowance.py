"""How fast a publisher may send; free of IO, `now` comes in."""

WINDOW_SECONDS = 5.0
TOLERANCE = 1.25
"""Encoders overshoot their rate for a while, and nobody should be cut off for that."""


class Allowance:
    """Counts bytes; `exceeded` is set for good when a whole window was above the limit."""

    def __init__(self, kbps: int) -> None:
        self.kbps = kbps
        self.exceeded = False
        self.measured_kbps = 0
        self._bytes = 0
        self._since: float | None = None

    def add(self, size: int, now: float) -> None:
        """Bytes that came."""
        if self._since is None:
            self._since = now
        self._bytes += size
        passed = now - self._since
        if passed < WINDOW_SECONDS:
            return
        self.measured_kbps = round(self._bytes * 8 / passed / 1000)
        self.exceeded = self.exceeded or self.measured_kbps > self.kbps * TOLERANCE
        self._bytes, self._since = 0, now
