"""When to give up the largest rung, when to take it back, and when to skip frames: a state machine free of IO.

An encoder that is slower than its source makes latency grow without end, so it must do less at once; and a rung that
comes back too early makes it slow again, so each failed return doubles the wait before the next one. The trap is an
encoder that is late but catching up (after a replayed group of pictures, after a restart): it is left alone.
"""

from collections import deque
from dataclasses import dataclass

LATE_SECONDS = 1.0
SKIP_SECONDS = 2.0
CALM_SECONDS = 0.5
SLOW_SPEED = 0.95
SLOW_FOR_SECONDS = 2.0
SETTLE_SECONDS = 2.5
MAX_WAIT_SECONDS = 900.0
_TREND_SECONDS = 1.0
_CATCHING_UP = 0.1
_PROVEN_WAITS = 2.0


@dataclass(frozen=True, slots=True)
class Decision:
    """Restart the encoder without the `shed` largest rungs; with `skip`, at the newest frame instead of the next."""

    shed: int
    skip: bool


class Shedding:
    """`observe` it a few times a second; `sheddable` is how many rungs may go at most."""

    def __init__(self, sheddable: int, *, wait_seconds: float, now: float) -> None:
        self.shed = 0
        self.sheddable = sheddable
        self._base_wait = self._wait = wait_seconds
        self._restored_at: float | None = None
        self._slow_since: float | None = None
        self._calm_since: float | None = None
        self._trend: deque[tuple[float, float]] = deque()
        self._began(now)

    @property
    def wait_seconds(self) -> float:
        """How long it must be calm before a rung comes back."""
        return self._wait

    def observe(self, *, now: float, speed: float, lateness: float) -> Decision | None:
        """What to do; `speed` is encoded per received frames (0: unknown), `lateness` in seconds."""
        catching_up = self._note(now, lateness)
        if now < self._settled_at:
            return None
        slow = 0 < speed < SLOW_SPEED and lateness > CALM_SECONDS
        self._slow_since = (self._slow_since if self._slow_since is not None else now) if slow else None
        calm = not slow and lateness <= CALM_SECONDS
        self._calm_since = (self._calm_since if self._calm_since is not None else now) if calm else None
        if not catching_up and lateness > SKIP_SECONDS:
            return self._give_up(now, skip=True)
        slow_for_long = self._slow_since is not None and now - self._slow_since >= SLOW_FOR_SECONDS
        if not catching_up and (lateness > LATE_SECONDS or slow_for_long) and self.shed < self.sheddable:
            return self._give_up(now, skip=False)
        self._forgive(now)
        if self.shed and self._calm_since is not None and now - self._calm_since >= self._wait:
            return self._take_back(now)
        return None

    def _give_up(self, now: float, *, skip: bool) -> Decision:
        if self._restored_at is not None:
            self._wait = min(MAX_WAIT_SECONDS, self._wait * 2)
            self._restored_at = None
        self.shed = min(self.sheddable, self.shed + 1)
        self._began(now)
        return Decision(self.shed, skip)

    def _take_back(self, now: float) -> Decision:
        self.shed -= 1
        self._restored_at = now
        self._began(now)
        return Decision(self.shed, skip=False)

    def _forgive(self, now: float) -> None:
        """A rung that came back and stayed makes the next return as quick as the first."""
        if self._restored_at is not None and now - self._restored_at >= self._wait * _PROVEN_WAITS:
            self._restored_at, self._wait = None, self._base_wait

    def _began(self, now: float) -> None:
        self._settled_at = now + SETTLE_SECONDS
        self._slow_since = self._calm_since = None
        self._trend.clear()

    def _note(self, now: float, lateness: float) -> bool:
        """Remember the lateness; whether it has fallen over the last second."""
        self._trend.append((now, lateness))
        while self._trend[0][0] < now - _TREND_SECONDS:
            self._trend.popleft()
        return self._trend[0][1] - lateness >= _CATCHING_UP
