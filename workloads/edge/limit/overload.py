"""When an edge is at its end: it turns new viewers away, so that those who watch go on undisturbed.

A new viewer begins with a master playlist; whoever watches never asks for one again. The verdict has two thresholds,
and a refusal tells each viewer another time to come back, else all come back at once.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from workloads.common.loops import going_on
from workloads.common.problem import Problem

LOOK_SECONDS = 0.25
CALM_SECONDS = 5.0
_CALM_SHARE = 0.7
_SMOOTHING = 0.3


@dataclass(frozen=True, slots=True)
class Limits:
    """Above any of these new viewers are turned away: lag of the event loop, connections, fetches under way."""

    lag_seconds: float = 0.25
    connections: int = 20_000
    pending: int = 4096


class Overload:
    """The verdict of one process; `run` it."""

    def __init__(self, limits: Limits, connections: Callable[[], int], pending: Callable[[], int]) -> None:
        self._limits = limits
        self._connections = connections
        self._pending = pending
        self._calm_since: float | None = None
        self.lag = 0.0
        self.shedding = False

    def judge(self, lag: float, now: float) -> None:
        """One look; it takes some seconds of calm to take viewers again."""
        self.lag += (lag - self.lag) * _SMOOTHING
        limits = self._limits
        share = max(
            self.lag / limits.lag_seconds,
            self._connections() / limits.connections,
            self._pending() / limits.pending,
        )
        if share >= 1:
            self.shedding, self._calm_since = True, None
        elif share > _CALM_SHARE:
            self._calm_since = None
        elif self.shedding:
            self._calm_since = now if self._calm_since is None else self._calm_since
            self.shedding = now - self._calm_since < CALM_SECONDS

    def check(self) -> None:
        """Problem 503 for a new viewer while there is no room."""
        if self.shedding:
            seconds = random.uniform(2, 10)
            raise Problem(503, "overloaded", "This edge is full, try again.", retry_after_seconds=seconds)

    async def run(self) -> None:
        """Look four times a second, until cancelled."""
        loop = asyncio.get_running_loop()
        while going_on():
            due = loop.time() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            now = loop.time()
            self.judge(max(0.0, now - due), now)
