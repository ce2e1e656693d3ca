"""The coalescing cache: one fetch per key however many ask at once, and a bounded memory of what came back.

A fetch belongs to nobody: a viewer that leaves does not cancel it for the others. Failures are shared by those who wait
and never kept.
"""

import asyncio
import gzip
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

_OVERHEAD_BYTES = 512
_GZIP_LEVEL = 5


class CacheFull(Exception):
    """Too many fetches are under way; the caller should be told to come back."""


@dataclass(slots=True)
class Entry:
    """An origin's answer; `compressed` makes its gzip form once."""

    status: int
    body: bytes
    content_type: str
    _gzip: bytes | None = field(default=None, repr=False)

    def compressed(self) -> bytes:
        """The body as gzip."""
        if self._gzip is None:
            self._gzip = gzip.compress(self.body, _GZIP_LEVEL, mtime=0)
        return self._gzip


@dataclass(slots=True)
class CacheStatistics:
    """Counts since the start."""

    hits: int = 0
    misses: int = 0
    coalesced: int = 0
    evicted: int = 0


class CoalescingCache:
    """Least recently used entries leave when `max_bytes` is exceeded."""

    def __init__(self, max_bytes: int, max_pending: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._max_pending = max_pending
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, Entry]] = OrderedDict()
        self._pending: dict[str, asyncio.Task[Entry]] = {}
        self.bytes = 0
        self.statistics = CacheStatistics()

    async def get(
        self, key: str, fetch: Callable[[], Awaitable[Entry]], fresh_seconds: Callable[[Entry], float]
    ) -> Entry:
        """The entry of `key`, fetched at most once at a time; whatever `fetch` raises reaches everybody who waits."""
        found = self._entries.get(key)
        if found is not None and found[0] > self._clock():
            self._entries.move_to_end(key)
            self.statistics.hits += 1
            return found[1]
        task = self._pending.get(key)
        if task is None:
            if len(self._pending) >= self._max_pending:
                raise CacheFull
            self.statistics.misses += 1
            task = asyncio.create_task(self._fetch(key, fetch, fresh_seconds))
            self._pending[key] = task
        else:
            self.statistics.coalesced += 1
        return await asyncio.shield(task)

    async def _fetch(
        self, key: str, fetch: Callable[[], Awaitable[Entry]], fresh_seconds: Callable[[Entry], float]
    ) -> Entry:
        try:
            entry = await fetch()
        finally:
            self._pending.pop(key, None)
        seconds = fresh_seconds(entry)
        if seconds > 0:
            self._store(key, self._clock() + seconds, entry)
        return entry

    def _store(self, key: str, expires: float, entry: Entry) -> None:
        previous = self._entries.pop(key, None)
        if previous:
            self.bytes -= _weight(key, previous[1])
        self._entries[key] = (expires, entry)
        self.bytes += _weight(key, entry)
        while self.bytes > self._max_bytes and self._entries:
            old_key, (_, old) = self._entries.popitem(last=False)
            self.bytes -= _weight(old_key, old)
            self.statistics.evicted += 1


def _weight(key: str, entry: Entry) -> int:
    return len(entry.body) + len(key) + _OVERHEAD_BYTES
