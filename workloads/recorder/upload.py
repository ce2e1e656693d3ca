"""From the spool to the store: in order, again and again until it is there, and only then into the index.

A segment enters the index after its object was stored, and an index never names a segment before an older one that is
still under way: players of the growing recording see it grow at its end only.
"""

import asyncio
import itertools
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable

from workloads.common.loops import going_on
from workloads.recorder import layout
from workloads.recorder.index import Minute, Segment, encode
from workloads.recorder.metrics import Metrics
from workloads.recorder.spool import Item, Label, Spool, SpoolFull
from workloads.recorder.storage import Storage, StorageAway

_BATCH = 8
_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.2, 5.0

logger = logging.getLogger(__name__)


class Uploader:
    """The way of one recording's objects, by one writer. `run` it; `add` and `publish` as the recording grows."""

    def __init__(
        self, storage: Storage, spool: Spool, recording: layout.Recording, writer: str, metrics: Metrics
    ) -> None:
        self._storage = storage
        self._spool = spool
        self._recording = recording
        self._writer = writer
        self._metrics = metrics
        self._queue: deque[Item] = deque()
        self._minutes: dict[int, Minute] = {}
        self._documents: dict[str, bytes] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def add(self, label: Label, data: bytes) -> bool:
        """Take an object; False when there was no room for it."""
        try:
            item = await self._spool.add(label, data)
        except SpoolFull:
            logger.error("no room for an object", extra={"stream": label.stream, "path": label.path})
            if label.segment:
                self._metrics.dropped.labels(label.stream).inc()
            return False
        self.enqueue(item)
        return True

    def enqueue(self, item: Item) -> None:
        """Take an item that is in the spool already."""
        self._queue.append(item)
        self._stir()

    def publish(self, path: str, data: bytes) -> None:
        """Write a small document that changes; of several versions the last one counts."""
        self._documents[path] = data
        self._stir()

    async def drained(self) -> None:
        """Wait until everything is stored."""
        await self._idle.wait()

    @property
    def waiting(self) -> int:
        """Objects under way."""
        return len(self._queue) + len(self._documents)

    async def run(self) -> None:
        """Store until cancelled."""
        while going_on():
            if not self._queue and not self._documents:
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
            try:
                await self._batch()
            except Exception:
                logger.exception("storing failed", extra={"stream": self._recording.stream})
                await asyncio.sleep(_MAX_PAUSE_SECONDS)

    async def _batch(self) -> None:
        taken = list(itertools.islice(self._queue, _BATCH))
        batch = [item for item in taken if not item.gone]
        for item in batch:
            item.busy = True
        await asyncio.gather(*(self._store(item) for item in batch))
        touched = {self._enter(item.label) for item in batch if not item.gone} - {None}
        for minute in touched:
            if minute is not None:
                self._documents[self._recording.index(minute, self._writer)] = encode(self._minutes[minute])
        while self._documents:
            path, data = next(iter(self._documents.items()))
            await self._until_done(lambda path=path, data=data: self._storage.put(path, data))  # type: ignore[misc]
            if self._documents.get(path) is data:
                del self._documents[path]
        for item in taken:
            self._queue.popleft()
            self._spool.done(item)
        self._forget_old_minutes()

    async def _store(self, item: Item) -> None:
        try:
            data = await asyncio.to_thread(item.read)
        except (OSError, ValueError) as error:
            logger.error("a spooled file cannot be read: %s", error, extra={"stream": item.label.stream})
            item.gone = True
            return
        await self._until_done(lambda: self._storage.put(item.label.path, data))
        self._metrics.stored_bytes.inc(len(data))
        if item.label.segment:
            self._metrics.segments.labels(item.label.stream).inc()

    async def _until_done(self, call: Callable[[], Awaitable[None]]) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await call()
            except StorageAway as error:
                self._metrics.storage_failures.inc()
                self._metrics.storage_up.set(0)
                log = logger.warning if pause == _FIRST_PAUSE_SECONDS else logger.debug
                log("the store does not take it: %s", error, extra={"stream": self._recording.stream})
                await asyncio.sleep(pause * random.uniform(0.5, 1))
                pause = min(_MAX_PAUSE_SECONDS, pause * 2)
            else:
                self._metrics.storage_up.set(1)
                return

    def _enter(self, label: Label) -> int | None:
        """Put what was stored into the index of its minute."""
        if label.segment is not None and label.rendition is not None:
            minute = layout.minute_of(label.segment.start)
            document = self._document(minute)
            document.renditions[label.rung] = label.rendition
            known = document.segments.setdefault(label.rung, [])
            if not any(_same(segment, label.segment) for segment in known):
                known.append(label.segment)
            return minute
        if label.slot is not None:
            minute = layout.minute_of(label.at)
            self._document(minute).thumbnails[label.slot] = label.at
            return minute
        return None

    def _document(self, minute: int) -> Minute:
        return self._minutes.setdefault(minute, Minute({}, {}, {}))

    def _forget_old_minutes(self) -> None:
        """Minutes that cannot grow any more; what is under way is newer than the batch that was just stored."""
        newest = max(self._minutes, default=0)
        for minute in [minute for minute in self._minutes if minute < newest - 10]:
            del self._minutes[minute]

    def _stir(self) -> None:
        self._idle.clear()
        self._wake.set()


def _same(first: Segment, second: Segment) -> bool:
    return first.msn == second.msn
