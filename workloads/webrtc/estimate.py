"""What a viewer's network carries, from transport-wide feedback: additive growth, multiplicative retreat; free of IO.

The stream has a fixed rate, so more than that cannot be seen to work: growth beyond it is a guess that a larger rung
will test. A guess that failed makes the next one wait longer, or the viewer would swing between two rungs for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass

START_BPS = 2_500_000.0
MIN_BPS = 100_000.0
GROWTH_PER_SECOND = 0.08
DELAY_LIMIT_SECONDS = 0.12
HIGH_LOSS, LOW_LOSS = 0.10, 0.02
RETREAT = 0.85
_BASE_WINDOW_SECONDS = 10.0
_RETREAT_PAUSE_SECONDS = 0.5
_MIN_SAMPLES = 10
_SMOOTHING = 0.2
HEADROOM = 1.15
_PATIENCE_SECONDS, _MAX_PATIENCE_SECONDS = 4.0, 120.0


class Estimator:
    """Feed it what happened to packets; `bps` is the estimate."""

    def __init__(self, now: float, *, start_bps: float = START_BPS, max_bps: float = 100_000_000.0) -> None:
        self.bps = start_bps
        self.max_bps = max_bps
        self.loss = 0.0
        self.queue_seconds = 0.0
        self._base = self._next_base = float("inf")
        self._window_since = now
        self._retreated = 0.0
        self._grown = now
        self._received = self._lost = 0

    def feedback(self, delays: Sequence[float | None], acked_bps: float, now: float) -> None:
        """One report: a packet's one-way delay in seconds on two clocks (their offset does not matter), None for lost.

        `acked_bps` is the rate at which packets were seen to arrive, 0 while that is not known.
        """
        arrived = [delay for delay in delays if delay is not None]
        self._received += len(arrived)
        self._lost += len(delays) - len(arrived)
        if arrived:
            self._measure_delay(arrived, now)
        if self._received + self._lost >= _MIN_SAMPLES:
            share = self._lost / (self._received + self._lost)
            self.loss += (share - self.loss) * _SMOOTHING
            self._received = self._lost = 0
            self._decide(share, acked_bps, now)

    def bandwidth(self, bps: float) -> None:
        """The receiver says itself how much it can take (REMB)."""
        self.bps = max(MIN_BPS, min(bps, self.max_bps))

    def _measure_delay(self, delays: Sequence[float], now: float) -> None:
        lowest = min(delays)
        if now - self._window_since > _BASE_WINDOW_SECONDS:
            self._base, self._next_base, self._window_since = self._next_base, lowest, now
        self._base, self._next_base = min(self._base, lowest), min(self._next_base, lowest)
        mean = sum(delays) / len(delays)
        self.queue_seconds += (mean - self._base - self.queue_seconds) * _SMOOTHING

    def _decide(self, share: float, acked_bps: float, now: float) -> None:
        elapsed, self._grown = min(1.0, now - self._grown), now
        delayed = self.queue_seconds > DELAY_LIMIT_SECONDS
        if delayed or share > HIGH_LOSS:
            if now - self._retreated > _RETREAT_PAUSE_SECONDS:
                self._retreated = now
                wanted = (acked_bps or self.bps) * RETREAT if delayed else self.bps * (1 - 0.5 * share)
                self.bps = max(MIN_BPS, min(self.bps, wanted))
        elif share < LOW_LOSS:
            self.bps = min(self.max_bps, self.bps * (1 + GROWTH_PER_SECOND * elapsed))


@dataclass(frozen=True, slots=True)
class Choice:
    """A rung by what it needs."""

    name: str
    bps: float


class RungPicker:
    """Which rung an estimate affords; down at once, up only after patience that grows with each failure."""

    def __init__(self, now: float) -> None:
        self._patience = _PATIENCE_SECONDS
        self._since = now
        self._went_up = False

    def pick(self, rungs: Sequence[Choice], current: str, bps: float, now: float) -> str:
        """The rung to be on; `rungs` are largest first and not empty."""
        names = [rung.name for rung in rungs]
        best = next((rung for rung in rungs if rung.bps * HEADROOM <= bps), rungs[-1])
        if current not in names:
            self._since, self._went_up = now, False
            return best.name
        mine = rungs[names.index(current)]
        if names.index(best.name) > names.index(current):
            # The rung that one is on needs no headroom.
            if mine.bps <= bps:
                return current
            if self._went_up:
                self._patience = min(_MAX_PATIENCE_SECONDS, self._patience * 2)
            self._since, self._went_up = now, False
            return best.name
        if best.name != current and now - self._since >= self._patience:
            self._since, self._went_up = now, True
            return names[names.index(current) - 1]
        return current


def first_rung(rungs: Sequence[Choice], bps: float = START_BPS) -> str:
    """The rung to begin with."""
    return next((rung for rung in rungs if rung.bps * HEADROOM <= bps), rungs[-1]).name
