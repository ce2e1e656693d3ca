"""The ends of recordings: of this pod, of pods that are gone, and of what an earlier process left in the spool."""

import asyncio
import contextlib
import json
import logging
from typing import Any

from redis.exceptions import RedisError

from workloads.recorder import layout, shelf
from workloads.recorder.finish import Superseded, finish
from workloads.recorder.index import Head
from workloads.recorder.leases import Lease, Leases
from workloads.recorder.shared import ENDING_KEY, LATEST_KEY, OPEN_KEY, Tools
from workloads.recorder.spool import Item
from workloads.recorder.storage import StorageAway
from workloads.recorder.upload import Uploader

logger = logging.getLogger(__name__)


async def told(call: Any) -> None:
    """A note in Redis that may be missed."""
    with contextlib.suppress(RedisError, OSError):
        await call


class Endings:
    """Finishes recordings under their leases."""

    def __init__(self, tools: Tools, leases: Leases) -> None:
        self._tools = tools
        self._leases = leases

    async def finish_other(self, root: str, lease: Lease) -> None:
        """Finish what another recorder began; StorageAway, Superseded, RedisError."""
        stream, _, name = root.rpartition("/")
        if not layout.STREAM.fullmatch(stream) or not layout.RECORDING.fullmatch(name):
            await self._tools.redis.srem(ENDING_KEY, root)
            return
        await self.finish(layout.Recording(stream, name), lease, fresh_sheets=set())

    async def finish(
        self, recording: layout.Recording, lease: Lease, *, fresh_sheets: set[int], again: bool = False
    ) -> None:
        """Finish a recording of which everything is stored; StorageAway, Superseded."""
        head = await finish(self._tools.storage, recording, token=lease.token, fresh_sheets=fresh_sheets, again=again)
        if head is not None:
            self._tools.metrics.finished.inc()
            await self.announce(head)
        await told(self._tools.redis.srem(ENDING_KEY, recording.root))

    async def store_leftovers(self) -> None:
        """What an earlier process of this pod could not store any more."""
        groups: dict[layout.Recording, list[Item]] = {}
        for item in await asyncio.to_thread(self._tools.spool.leftovers):
            groups.setdefault(layout.Recording(item.label.stream, item.label.recording), []).append(item)
        for recording, items in groups.items():
            tools = self._tools
            uploader = Uploader(tools.storage, tools.spool, recording, f"{tools.writer}-left", tools.metrics)
            for item in items:
                uploader.enqueue(item)
            running = asyncio.create_task(uploader.run())
            try:
                await uploader.drained()
            finally:
                running.cancel()
            logger.info("leftovers stored", extra={"stream": recording.stream, "objects": len(items)})
            await self._finish_again(recording)

    async def _finish_again(self, recording: layout.Recording) -> None:
        """A recording that was finished without what came late gets its playlists anew."""
        try:
            head = await shelf.read_head(self._tools.storage, recording)
            opened = await self._tools.redis.hget(OPEN_KEY, recording.stream)
            if head is None and not (opened and f'"{recording.id}"' in str(opened)):
                await self._tools.redis.sadd(ENDING_KEY, recording.root)
            lease = await self._leases.acquire(f"finish:{recording.root}") if head and head.ended else None
        except (StorageAway, RedisError, OSError) as error:
            logger.warning("leftovers are not in the playlists yet: %s", error, extra={"stream": recording.stream})
            return
        if lease is None:
            return
        try:
            await self.finish(recording, lease, fresh_sheets=set(), again=True)
        except (StorageAway, Superseded) as error:
            logger.warning("leftovers are not in the playlists yet: %s", error, extra={"stream": recording.stream})
        finally:
            await self._leases.release(lease)

    async def announce(self, head: Head) -> None:
        """Say what the stream's newest recording is."""
        value = {
            "id": head.id,
            "uid": head.uid,
            "state": head.state,
            "started_ms": head.started_ms,
            "ended_ms": head.ended_ms,
            "duration_ms": head.duration_ms,
            "master": f"/vod/{head.recording.root}/master.m3u8",
        }
        await told(self._tools.redis.hset(LATEST_KEY, head.stream, json.dumps(value)))
