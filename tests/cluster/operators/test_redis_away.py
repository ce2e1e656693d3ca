"""While Redis is away nobody can tell whether a stream is on air: it is neither interrupted nor ended for that."""

import asyncio
import contextlib
import json
import signal
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from operators.runtime.signals import BLIND_SECONDS
from tests.cluster.operators.conftest import World
from tests.support.operators import API, Operator, Tenant, channel, stream
from tests.support.servers import eventually

SOON = {"schedule": {"endAfterIdle": "2s", "interruptGrace": "1s"}}


@contextlib.asynccontextmanager
async def transcoder(url: str, hosted: str) -> AsyncIterator[None]:
    """A transcoder with a publisher; it goes on while Redis does not answer."""
    redis = Redis.from_url(url, decode_responses=True)

    async def beat() -> None:
        while True:
            media = {"ts_ms": int(time.time() * 1000), "receiving": True, "playable": True, "protocol": "rtmp"}
            with contextlib.suppress(RedisError, OSError):
                await redis.hset("haat:heartbeats", f"transcoder/{hosted}/launch-transcoder-x", json.dumps(media))
            await asyncio.sleep(0.3)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        await redis.aclose()


async def status(shop: Tenant) -> dict[str, Any]:
    found = await shop.get(API, "LiveStream", "launch")
    return (found or {}).get("status") or {}


async def watched(shop: Tenant, seconds: float) -> set[str]:
    """Phases that the stream has while it is looked at again and again."""
    phases, deadline = set(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        note = {"metadata": {"annotations": {"look": uuid.uuid4().hex}}}
        await shop.patch(API, "LiveStream", "launch", note)
        await asyncio.sleep(0.4)
        phases.add((await status(shop)).get("phase", ""))
    return phases


@pytest.mark.slow
async def test_a_redis_that_is_away_ends_no_stream(shop: Tenant, operator: Operator, world: World) -> None:
    await shop.create(channel(slug=f"c-{uuid.uuid4().hex[:8]}"))
    await shop.create(stream(**SOON))
    async with transcoder(world.redis.url, f"{shop.namespace}/launch"):

        async def live() -> bool:
            return (await status(shop)).get("phase") == "Live"

        await eventually(live, seconds=30)
        world.redis.stop(signal.SIGKILL)
        try:
            assert await watched(shop, BLIND_SECONDS + 5) == {"Live"}
        finally:
            world.redis.start()
        assert await watched(shop, BLIND_SECONDS + 3) == {"Live"}

    async def ended() -> bool:
        return (await status(shop)).get("endReason") == "Idle"

    await eventually(ended, seconds=30)  # the control: without a publisher it does end
