"""RTP timestamps of one source as milliseconds of its session; free of IO.

Two sources have clocks with beginnings of their own. Sender reports tie both to the sender's wall clock: `align` moves
this timeline so that it agrees with the other's, in one step and only when the difference can be heard.
"""

_AUDIBLE_MS = 25
_WRAP = 1 << 32


class Timeline:
    """`clock` is ticks a second."""

    def __init__(self, clock: int) -> None:
        self._clock = clock
        self._last: int | None = None
        self._origin = 0
        self._origin_ms = 0.0
        self._wall_ms: float | None = None

    def milliseconds(self, stamp: int, arrival_seconds: float) -> int:
        """When the frame with this timestamp was made; the first one was made when it came."""
        extended = self._extend(stamp)
        if self._last is None:
            self._origin, self._origin_ms = extended, arrival_seconds * 1000
        self._last = extended
        return round(self._at(extended))

    def report(self, ntp: int, stamp: int) -> None:
        """The sender's clock (64-bit NTP) showed `ntp` when the media clock was at `stamp`."""
        if self._last is not None:
            self._wall_ms = ntp * 1000 / _WRAP - self._at(self._extend(stamp))

    def align(self, other: "Timeline") -> None:
        """Agree with the other timeline, once both have had a report."""
        if self._wall_ms is None or other._wall_ms is None:
            return
        difference = self._wall_ms - other._wall_ms
        if abs(difference) > _AUDIBLE_MS:
            self._origin_ms += difference
            self._wall_ms -= difference

    def _extend(self, stamp: int) -> int:
        if self._last is None:
            return stamp + _WRAP
        return self._last + (stamp - self._last + _WRAP // 2) % _WRAP - _WRAP // 2

    def _at(self, extended: int) -> float:
        return self._origin_ms + (extended - self._origin) * 1000 / self._clock
