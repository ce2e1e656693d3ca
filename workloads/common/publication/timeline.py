"""One continuous line of time out of what publishers send; free of IO.

Encoders restart their clock in the middle, leap when a laptop wakes up, and wrap after 2^32 ms. Sound and picture jump
together but not at the same message, so the line before a jump stays known: a late message of the old clock is dated by
it, and lips stay in sync. Within one kind time never goes back, because no decoder downstream would take that.
"""

from dataclasses import dataclass

MODULUS = 1 << 32
BACK_MS, LEAP_MS = 1_000, 3_000
"""How far a message may be before or after the last one of the same clock."""
GAP_MS = 33
"""What a jump is replaced by: about a frame."""


@dataclass(slots=True)
class _Clock:
    """A publisher's clock: its last reading, and what has to be added to it."""

    raw: int
    shift: int


class Timeline:
    """`date` each message in the order in which it came; `jumps` counts what was mended."""

    def __init__(self) -> None:
        self.jumps = 0
        self._clocks: list[_Clock] = []
        self._last: dict[int, int] = {}
        self._end = 0

    @property
    def end_ms(self) -> int:
        """The latest time that was given."""
        return self._end

    def date(self, kind: int, raw_ms: int) -> int:
        """Milliseconds since the first message, for a message of this kind with the publisher's time."""
        clock = self._clock(raw_ms)
        raw = clock.raw + _step(raw_ms, clock.raw)
        clock.raw = max(clock.raw, raw)
        time = max(raw + clock.shift, self._last.get(kind, 0))
        self._last[kind] = time
        self._end = max(self._end, time)
        return time

    def _clock(self, raw_ms: int) -> _Clock:
        """The clock that the reading fits to, or a new one that goes on where the line ends."""
        for clock in self._clocks:
            if -BACK_MS <= _step(raw_ms, clock.raw) <= LEAP_MS:
                return clock
        if self._clocks:
            self.jumps += 1
            found = _Clock(raw_ms, self._end + GAP_MS - raw_ms)
        else:
            found = _Clock(raw_ms, -raw_ms)
        self._clocks = [found, *self._clocks[:1]]
        return found


def _step(later: int, earlier: int) -> int:
    """The way from one reading to another, the short way round."""
    return (later - earlier + MODULUS // 2) % MODULUS - MODULUS // 2
