"""The table of allocations: which worker hosts which stream.

Redis holds it (hash `haat:allocations`) so that workers can read it and the next leader can take it over. One writer,
the leader, changes it under a lock and by compare-and-set, so that two streams never get the same units. When Redis has
lost the table, the leader writes it again from memory, and a new leader leaves a stream on the worker that hosts it.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis

from operators.core.pooling import Allocation, Wish, Worker, choose, used_units

KEY, CHANNEL = "haat:allocations", "haat:allocations:changed"

_SWAP = """
local now = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if now ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
redis.call('PUBLISH', ARGV[4], ARGV[1])
return 1
"""

logger = logging.getLogger(__name__)


class Allocator:
    """Allocations as Redis has them; `load` first, then `ensure` and `release`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._swap = redis.register_script(_SWAP)
        self._lock = asyncio.Lock()
        self._raw: dict[str, str] = {}
        self.table: dict[str, Allocation] = {}
        self.pending: dict[str, Wish] = {}

    async def load(self) -> None:
        """Read the whole table, and write again what Redis has lost of it."""
        async with self._lock:
            answer: Any = await self._redis.hgetall(KEY)
            raw: dict[str, str] = answer
            held, self._raw = self.table, raw
            self.table = {stream: found for stream, text in raw.items() if (found := parse(text)) is not None}
            for stream, allocation in held.items():
                if stream not in raw:
                    logger.warning("redis had lost an allocation", extra={"stream": stream})
                    await self._write(stream, allocation)

    async def ensure(self, stream: str, wish: Wish, workers: Mapping[str, list[Worker]]) -> bool:
        """Give the stream a place and keep what its worker must know up to date; True when the table changed."""
        async with self._lock:
            held = self.table.get(stream)
            alive = workers.get(wish.pool, [])
            target = next((worker for worker in alive if held and worker.pod == held.worker), None)
            stays = held is not None and target is not None and held.uid == wish.uid and held.pool == wish.pool
            if stays and target is not None and target.draining and stream not in target.streams:
                stays = False
            if not stays:
                others = (item for name, item in self.table.items() if name != stream)
                hosting = [worker for worker in alive if stream in worker.streams and not worker.draining]
                target = hosting[0] if hosting else choose(alive, used_units(others), wish.units)
            if target is None:
                self.pending[stream] = wish
                return False
            self.pending.pop(stream, None)
            wanted = wish.on(target.pod)
            if wanted == held:
                return False
            return await self._write(stream, wanted)

    async def release(self, stream: str) -> bool:
        """Take the stream's place away; True when it had one."""
        self.pending.pop(stream, None)
        if stream not in self.table:
            return False
        async with self._lock:
            return await self._write(stream, None)

    async def _write(self, stream: str, wanted: Allocation | None) -> bool:
        text = render(wanted) if wanted else ""
        done = await self._swap(keys=[KEY], args=[stream, self._raw.get(stream, ""), text, CHANNEL])
        if not done:
            logger.warning("the allocation was changed by somebody else", extra={"stream": stream})
            return False
        if wanted is None:
            self._raw.pop(stream, None)
            self.table.pop(stream, None)
        else:
            self._raw[stream], self.table[stream] = text, wanted
            logger.info("allocated", extra={"stream": stream, "worker": wanted.worker, "units": wanted.units})
        return True


def render(allocation: Allocation) -> str:
    """The JSON that workers read."""
    return json.dumps(
        {
            "pool": allocation.pool,
            "worker": allocation.worker,
            "units": allocation.units,
            "uid": allocation.uid,
            "keys": list(allocation.keys),
            "spec": json.loads(allocation.spec),
        },
        sort_keys=True,
    )


def parse(text: str) -> Allocation | None:
    """An allocation from its JSON; None when it cannot be read."""
    try:
        body = json.loads(text)
        spec = json.dumps(body["spec"], sort_keys=True)
        return Allocation(body["pool"], body["worker"], int(body["units"]), body["uid"], tuple(body["keys"]), spec)
    except (ValueError, KeyError, TypeError):
        logger.error("%s holds something that is no allocation", KEY)
        return None
