"""Publications with a real Redis: what is lost is written again, what is newer stays."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from operators.core.plan import Publication
from operators.runtime.publisher import Publisher
from tests.support.servers import RedisServer
from workloads.common.redis import connect

KEY = "haat:test-publications"


@pytest.fixture
async def redis(shared_redis: RedisServer) -> AsyncIterator[Redis]:
    client = connect(shared_redis.url)
    await client.delete(KEY)
    yield client
    await client.delete(KEY)
    await client.aclose()


class Overtaken:
    """A Redis that answers a read, and before the reader has the answer something newer is published."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.publisher = Publisher(self)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redis, name)

    async def hmget(self, key: str, fields: list[str]) -> list[str | None]:
        await self.publisher.publish((Publication(KEY, "stream", "newer"),))
        return list(await self._redis.hmget(key, fields))


async def test_a_repair_writes_what_was_lost(redis: Redis) -> None:
    publisher = Publisher(redis)
    await publisher.publish((Publication(KEY, "stream", "here"),))
    assert await publisher.repair() == 0
    await redis.delete(KEY)
    assert await publisher.repair() == 1
    assert await redis.hget(KEY, "stream") == "here"


async def test_a_repair_does_not_undo_what_was_published_meanwhile(redis: Redis) -> None:
    overtaken = Overtaken(redis)
    await overtaken.publisher.publish((Publication(KEY, "stream", "older"),))
    assert await overtaken.publisher.repair() == 0
    assert await redis.hget(KEY, "stream") == "newer"
