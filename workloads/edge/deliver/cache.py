"""The coalescing cache: one fetch per key however many ask at once, and a bounded memory of what came back.

A fetch belongs to nobody: a viewer that leaves does not cancel it for the others. Failures are shared by those who wait
and never kept.
"""

import asyncio
import gzip
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

_OVERHEAD_BYTES = 512
_GZIP_LEVEL = 5


class CacheFull(Exception):
    """Too many fetches are under way; the caller should be told to come back."""


class GrowthCut(Exception):
    """The origin broke off in the middle of a body."""


class Growth:
    """A body that is still being made: pieces so far, and a wait for the next one."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._ended = False
        self._cut = False
        self._changed = asyncio.Event()

    def add(self, piece: bytes) -> None:
        """One more piece."""
        self.pieces.append(piece)
        self._wake()

    def end(self, *, cut: bool) -> None:
        """That was all, or (`cut`) as much as came."""
        self._ended, self._cut = True, cut
        self._wake()

    async def read(self) -> AsyncIterator[bytes]:
        """All pieces from the first one on; GrowthCut when the rest does not come."""
        index = 0
        while True:
            changed = self._changed
            while index < len(self.pieces):
                yield self.pieces[index]
                index += 1
            if self._cut:
                raise GrowthCut
            if self._ended:
                return
            await changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@dataclass(slots=True)
class Entry:
    """An origin's answer; `compressed` makes its gzip form once. While it has a `growth`, its body is empty."""

    status: int
    body: bytes
    content_type: str
    growth: Growth | None = None
    wire: dict[object, tuple[bytes, bytes]] = field(default_factory=dict, repr=False)
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

    @property
    def pending(self) -> int:
        """Fetches under way."""
        return len(self._pending)

    def peek(self, key: str) -> Entry | None:
        """The entry of `key`, when it is here and fresh."""
        found = self._entries.get(key)
        if found is None or found[0] <= self._clock():
            return None
        self._entries.move_to_end(key)
        self.statistics.hits += 1
        return found[1]

    def join(
        self, key: str, fetch: Callable[[], Awaitable[Entry]], fresh_seconds: Callable[[Entry], float]
    ) -> asyncio.Task[Entry]:
        """The fetch of `key`, begun unless one is under way. It belongs to all who wait: nobody may cancel it.

        CacheFull when too many are under way.
        """
        task = self._pending.get(key)
        if task is None:
            if len(self._pending) >= self._max_pending:
                raise CacheFull
            self.statistics.misses += 1
            task = asyncio.create_task(self._fetch(key, fetch, fresh_seconds))
            self._pending[key] = task
        else:
            self.statistics.coalesced += 1
        return task

    async def get(
        self, key: str, fetch: Callable[[], Awaitable[Entry]], fresh_seconds: Callable[[Entry], float]
    ) -> Entry:
        """The entry of `key`, fetched at most once at a time; whatever `fetch` raises reaches everybody who waits."""
        found = self.peek(key)
        return found if found is not None else await asyncio.shield(self.join(key, fetch, fresh_seconds))

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

    def grown(self, key: str, entry: Entry, body: bytes | None) -> None:
        """An entry has its whole body now, or (None) never will and is forgotten."""
        found = self._entries.get(key)
        kept = found is not None and found[1] is entry
        if body is not None:
            entry.body = body
            entry.growth = None
            if kept:
                self.bytes += len(body)
                self._shrink()
        elif kept:
            del self._entries[key]
            self.bytes -= _weight(key, entry)

    def _store(self, key: str, expires: float, entry: Entry) -> None:
        previous = self._entries.pop(key, None)
        if previous:
            self.bytes -= _weight(key, previous[1])
        self._entries[key] = (expires, entry)
        self.bytes += _weight(key, entry)
        self._shrink()

    def _shrink(self) -> None:
        while self.bytes > self._max_bytes and self._entries:
            old_key, (_, old) = self._entries.popitem(last=False)
            self.bytes -= _weight(old_key, old)
            self.statistics.evicted += 1


def _weight(key: str, entry: Entry) -> int:
    return len(entry.body) + len(key) + _OVERHEAD_BYTES
