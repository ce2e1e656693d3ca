"""Sources that could not be shown: when each may be tried again, and what is over before its time."""

import random
from collections.abc import Callable

from workloads.playout.schedule import Programme

FIRST_SECONDS, MOST_SECONDS = 1.0, 30.0
Identity = tuple[str, str, str, int]


class Failures:
    """Pauses that grow with each failure; forgotten when the programme is over."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._failed: dict[Identity, tuple[int, float, int]] = {}
        self._over: dict[Identity, int] = {}

    def note(self, programme: Programme, now: float) -> float:
        """It failed; the seconds until it may be tried again."""
        count = self._failed.get(programme.identity, (0, 0.0, 0))[0] + 1
        pause = min(MOST_SECONDS, FIRST_SECONDS * 2 ** min(count - 1, 10)) * (0.75 + 0.25 * self._draw())
        self._failed[programme.identity] = (count, now + pause, programme.ends_at_ms)
        return float(pause)

    def note_over(self, programme: Programme) -> None:
        """It came to its end before its time was over."""
        self._over[programme.identity] = programme.ends_at_ms

    def is_over(self, programme: Programme) -> bool:
        """Whether there is nothing left of it."""
        return programme.identity in self._over

    def failing(self, programme: Programme) -> bool:
        """Whether its last try failed."""
        return programme.identity in self._failed

    def may_try(self, programme: Programme, now: float) -> bool:
        """Whether it may be started."""
        return now >= self._failed.get(programme.identity, (0, 0.0, 0))[1]

    def works(self, programme: Programme) -> None:
        """It is on air."""
        self._failed.pop(programme.identity, None)

    def forget(self, now: float) -> None:
        """Drop what is past."""
        moment = now * 1000
        self._failed = {key: value for key, value in self._failed.items() if value[2] > moment}
        self._over = {key: value for key, value in self._over.items() if value > moment}
