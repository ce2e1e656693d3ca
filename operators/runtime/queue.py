"""A keyed work queue: each key is reconciled by one worker at a time, failures come back with back-off.

kopf never retries an exception in an event handler; this queue is why a failed call leaves no stream half-built.
A key that is added while it is being worked on is worked on once more afterwards, so no change is ever missed.
"""

import asyncio
import heapq
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)
Key = TypeVar("Key")


class RetryAfter(Exception):
    """The reconcile could not finish and wants to run again after `seconds`."""

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential delays with full jitter."""

    first_seconds: float = 0.5
    most_seconds: float = 60.0

    def delay(self, failures: int, draw: Callable[[], float] = random.random) -> float:
        """Seconds to wait after the n-th failure in a row (n from 1)."""
        ceiling = min(self.most_seconds, self.first_seconds * 2.0 ** min(failures - 1, 16))
        return ceiling * (0.5 + 0.5 * draw())


@dataclass(order=True, slots=True)
class _Delayed(Generic[Key]):
    at: float
    key: Key = field(compare=False)


class WorkQueue(Generic[Key]):
    """See the module's text. `reconcile(key)` returns seconds until it wants to run again, or None."""

    def __init__(
        self,
        reconcile: Callable[[Key], Awaitable[float | None]],
        *,
        workers: int = 16,
        backoff: Backoff | None = None,
        on_done: Callable[[Key, str, float, float], None] | None = None,
    ) -> None:
        self._reconcile = reconcile
        self._workers = workers
        self._backoff = backoff or Backoff()
        self._on_done = on_done
        self._ready: dict[Key, float] = {}
        self._active: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._due: dict[Key, float] = {}
        self._heap: list[_Delayed[Key]] = []
        self._wake = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._ready)

    async def add(self, key: Key) -> None:
        """Reconcile `key` soon; adding it twice is adding it once."""
        async with self._wake:
            self._push(key)
            self._wake.notify()

    async def add_after(self, key: Key, seconds: float) -> None:
        """Reconcile `key` no later than `seconds` from now."""
        at = asyncio.get_running_loop().time() + seconds
        async with self._wake:
            if self._due.get(key, float("inf")) <= at:
                return
            self._due[key] = at
            heapq.heappush(self._heap, _Delayed(at, key))
            self._wake.notify()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work())

    def _push(self, key: Key) -> None:
        if key in self._active:
            self._again.add(key)
        else:
            self._ready.setdefault(key, asyncio.get_running_loop().time())

    async def _take(self) -> tuple[Key, float]:
        loop = asyncio.get_running_loop()
        async with self._wake:
            while True:
                while self._heap and self._heap[0].at <= loop.time():
                    item = heapq.heappop(self._heap)
                    if self._due.get(item.key) == item.at:
                        del self._due[item.key]
                        self._push(item.key)
                if self._ready:
                    key = next(iter(self._ready))
                    since = self._ready.pop(key)
                    self._active.add(key)
                    return key, loop.time() - since
                await self._wait(self._heap[0].at - loop.time() if self._heap else None)

    async def _wait(self, seconds: float | None) -> None:
        if seconds is None:
            await self._wake.wait()
            return
        try:
            async with asyncio.timeout(max(seconds, 0.001)):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _work(self) -> None:
        while True:
            key, waited = await self._take()
            started = asyncio.get_running_loop().time()
            result, again_in = await self._attempt(key)
            async with self._wake:
                self._active.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self._push(key)
                self._wake.notify()
            if again_in is not None:
                await self.add_after(key, again_in)
            if self._on_done:
                self._on_done(key, result, asyncio.get_running_loop().time() - started, waited)

    async def _attempt(self, key: Key) -> tuple[str, float | None]:
        try:
            again_in = await self._reconcile(key)
        except asyncio.CancelledError:
            raise
        except RetryAfter as retry:
            logger.info("reconcile wants a retry", extra={"key": str(key), "reason": str(retry)})
            return "retry", retry.seconds
        except Exception:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            delay = self._backoff.delay(failures)
            logger.exception("reconcile failed", extra={"key": str(key), "failures": failures, "retry_in": delay})
            return "error", delay
        self._failures.pop(key, None)
        return "ok", again_in
