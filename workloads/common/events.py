"""What happened, for analytics and models: one Redis stream, at least once, deduplicated by event id."""

import json
import time
from typing import Any

import uuid_utils
from redis.asyncio import Redis

STREAM = "haat:events"
MAX_LENGTH = 100_000


def new_event(kind: str, *, stream: str, user: str, data: dict[str, Any]) -> dict[str, str]:
    """Fields of one event; `kind` is a dotted name such as `product.view`."""
    return {
        "id": str(uuid_utils.uuid7()),
        "version": "1",
        "kind": kind,
        "stream": stream,
        "user": user,
        "ts_ms": str(int(time.time() * 1000)),
        "data": json.dumps(data),
    }


async def emit(redis: Redis, event: dict[str, str]) -> None:
    """Append the event; RedisError when the stream is away (callers off the critical path log and go on)."""
    await redis.xadd(STREAM, event, maxlen=MAX_LENGTH, approximate=True)  # type: ignore[arg-type]
