"""Retention: one recorder at a time walks through the store, deletes what is over, and counts what is there.

The head goes last, so that a deletion that was cut short is found and finished by the next walk.
"""

import asyncio
import logging
import random
import shutil
import time

import msgspec
from redis.exceptions import RedisError

from workloads.common.loops import going_on
from workloads.recorder import layout, shelf
from workloads.recorder.index import Head
from workloads.recorder.leases import Leases
from workloads.recorder.shared import ENDING_KEY, LATEST_KEY, OPEN_KEY, Tools
from workloads.recorder.storage import ObjectMissing, StorageAway

logger = logging.getLogger(__name__)


class _Note(msgspec.Struct):
    id: str
    stream: str
    expires_ms: int = 0


_NOTE = msgspec.json.Decoder(_Note)


class Sweep:
    """`run` it; the walk of a pod that does not hold the lease ends before it begins."""

    def __init__(self, tools: Tools, leases: Leases) -> None:
        self._tools = tools
        self._leases = leases
        self._ended: dict[str, Head] = {}

    async def run(self) -> None:
        """Walk every few minutes until cancelled."""
        while going_on():
            await asyncio.sleep(self._tools.settings.recorder_sweep_seconds * random.uniform(0.8, 1.2))
            self._measure_disk()
            try:
                lease = await self._leases.acquire("sweep")
                if lease is None:
                    continue
                try:
                    await self.walk(round(time.time() * 1000))
                finally:
                    await self._leases.release(lease)
            except (StorageAway, RedisError, OSError) as error:
                logger.warning("the sweep is interrupted: %s", error)

    async def walk(self, now_ms: int) -> None:
        """Look at every recording once; StorageAway."""
        storage, metrics = self._tools.storage, self._tools.metrics
        await self._clips(now_ms)
        for namespace in await storage.folders():
            count = used = 0
            for name in await storage.folders(namespace):
                stream = f"{namespace}/{name}"
                if not layout.STREAM.fullmatch(stream):
                    continue
                for folder in await storage.folders(stream):
                    if layout.RECORDING.fullmatch(folder):
                        head = await self._recording(layout.Recording(stream, folder), now_ms)
                        count += 1 if head else 0
                        used += head.bytes if head else 0
            metrics.recordings.labels(namespace).set(count)
            metrics.used_bytes.labels(namespace).set(used)

    async def _recording(self, recording: layout.Recording, now_ms: int) -> Head | None:
        """The head of what stays."""
        head = self._ended.get(recording.root) or await shelf.read_head(self._tools.storage, recording)
        if head is None:
            return None
        if head.ended:
            self._ended[recording.root] = head
            if head.expires_ms and head.expires_ms <= now_ms:
                await self._delete(recording)
                return None
        elif now_ms - head.updated_ms > self._tools.settings.recorder_abandoned_seconds * 1000:
            await self._adopt(recording)
        return head

    async def _adopt(self, recording: layout.Recording) -> None:
        """Finish what nobody knows any more, as after a loss of Redis."""
        opened = await self._tools.redis.hget(OPEN_KEY, recording.stream)
        if not (opened and f'"{recording.id}"' in str(opened)):
            await self._tools.redis.sadd(ENDING_KEY, recording.root)

    async def _delete(self, recording: layout.Recording) -> None:
        storage = self._tools.storage
        paths = [stored.path for stored in await storage.objects(recording.root)]
        await storage.delete([path for path in paths if path != recording.head])
        await storage.delete([recording.head])
        self._ended.pop(recording.root, None)
        self._tools.metrics.expired.inc()
        logger.info("recording expired", extra={"stream": recording.stream, "recording": recording.id})
        latest = await self._tools.redis.hget(LATEST_KEY, recording.stream)
        if latest and f'"{recording.id}"' in str(latest):
            await self._tools.redis.hdel(LATEST_KEY, recording.stream)

    async def _clips(self, now_ms: int) -> None:
        storage = self._tools.storage
        for stored in await storage.objects(layout.CLIP_NOTES):
            try:
                note = _NOTE.decode(await storage.get(stored.path))
            except (ObjectMissing, msgspec.DecodeError):
                continue
            if note.expires_ms and note.expires_ms <= now_ms and layout.STREAM.fullmatch(note.stream):
                await storage.delete([layout.clip(note.stream, note.id), stored.path])

    def _measure_disk(self) -> None:
        folder = self._tools.storage.folder
        if folder is not None and folder.exists():
            self._tools.metrics.free_bytes.set(shutil.disk_usage(folder).free)
