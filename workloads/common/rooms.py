"""Publishing to a room: offset, epoch, history and live delivery in one atomic step.

One script does all four, so that a client which compares offsets can trust them: whatever was delivered live is in the
history under the same offset, and an idempotency key makes a retried publish the same event.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

import uuid_utils
from redis.asyncio import Redis

HISTORY = 1000
IDEMPOTENCY_SECONDS = 300

_PUBLISH = """
local meta, log, channel, seen = KEYS[1], KEYS[2], ARGV[1], KEYS[3]
if ARGV[5] ~= '' then
  local known = redis.call('GET', seen)
  if known then return {redis.call('HGET', meta, 'epoch'), tonumber(known), 0} end
end
local epoch = redis.call('HGET', meta, 'epoch')
if not epoch then
  epoch = ARGV[2]
  redis.call('HSET', meta, 'epoch', epoch)
end
local offset = redis.call('HINCRBY', meta, 'offset', 1)
local event = string.sub(ARGV[3], 1, -2) .. ',"offset":' .. offset .. ',"epoch":"' .. epoch .. '"}'
redis.call('XADD', log, 'MAXLEN', '~', ARGV[4], offset .. '-1', 'event', event)
redis.call('PUBLISH', channel, event)
if ARGV[5] ~= '' then redis.call('SET', seen, offset, 'EX', ARGV[6]) end
return {epoch, offset, 1}
"""


@dataclass(frozen=True, slots=True)
class Published:
    """Where an event stands; `fresh` is False when the idempotency key was known already."""

    epoch: str
    offset: int
    fresh: bool


def keys(room: str) -> tuple[str, str, str]:
    """(meta hash, history stream, live channel) of a room; one hash tag keeps them in one slot of a cluster."""
    base = f"haat:room:{{{room}}}"
    return f"{base}:meta", f"{base}:log", base


def new_event(room: str, event: str, data: dict[str, Any]) -> dict[str, Any]:
    """An event as clients see it, without offset and epoch."""
    return {"type": "event", "room": room, "event": event, "data": data, "ts_ms": int(time.time() * 1000)}


class Rooms:
    """Publishes to rooms over one Redis client."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._script = redis.register_script(_PUBLISH)

    async def publish(self, room: str, event: str, data: dict[str, Any], *, idempotency_key: str = "") -> Published:
        """Append to the room's history and deliver live. RedisError when the room is away: nothing was published."""
        meta, log, channel = keys(room)
        body = json.dumps(new_event(room, event, data), ensure_ascii=False, separators=(",", ":"))
        epoch, offset, fresh = await self._script(
            keys=[meta, log, f"{channel}:seen:{idempotency_key or '-'}"],
            args=[channel, uuid_utils.uuid7().hex, body, HISTORY, idempotency_key, IDEMPOTENCY_SECONDS],
        )
        return Published(str(epoch), int(offset), bool(fresh))

    async def broadcast(self, room: str, event: str, data: dict[str, Any]) -> None:
        """Deliver live only: no offset, no history; for what the next one replaces (counts, ticks)."""
        body = json.dumps(new_event(room, event, data), ensure_ascii=False, separators=(",", ":"))
        await self._redis.publish(keys(room)[2], body)
