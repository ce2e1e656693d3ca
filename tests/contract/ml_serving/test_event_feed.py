"""The consumer group: each event once, a dead member's events taken over, nothing stopped by a malformed one."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from ml_serving.features import events as feed_module
from ml_serving.features.definitions import CoView, day_of
from ml_serving.features.events import EventFeed
from ml_serving.features.store import CoViewStore
from tests.support.servers import RedisServer, eventually, redis_server
from workloads.common.events import new_event
from workloads.common.redis import connect


@pytest.fixture
async def redis(shared_redis: RedisServer) -> AsyncIterator[Redis]:
    client = connect(shared_redis.url)
    yield client
    await client.aclose()


class Bench:
    """A stream of events of its own and the features of one live stream."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.key = f"test:events:{uuid.uuid4().hex}"
        self.stream = f"feed/{uuid.uuid4().hex}"
        self.store = CoViewStore(redis, CoView())

    def member(self, name: str) -> EventFeed:
        return EventFeed(self.redis, self.store, consumer=name, stream=self.key)

    async def look(self, user: str, sku: str, **changes: str) -> dict[str, str]:
        event = new_event("product.view", stream=self.stream, user=user, data={"sku": sku}) | changes
        await self.redis.xadd(self.key, event)  # type: ignore[arg-type]
        return event

    async def views(self) -> dict[str, int]:
        today = day_of(int(new_event("x", stream="", user="", data={})["ts_ms"]))
        return {
            sku: n
            for each in (await self.store.days(self.stream, "", today=today)).values()
            for sku, n in each.views.items()
        }

    async def pending(self, feed: EventFeed) -> int:
        return int((await self.redis.xpending(self.key, feed.group))["pending"])


async def test_events_from_before_the_first_start_count(redis: Redis) -> None:
    bench = Bench(redis)
    await bench.look("u", "A")
    feed = bench.member("one")
    await feed.join()
    await feed.join()
    assert await feed.step(block_ms=10) == 1
    assert await feed.step(block_ms=10) == 0
    assert await bench.views() == {"A": 1}
    assert await bench.pending(feed) == 0


async def test_a_member_goes_on_where_the_group_was(redis: Redis) -> None:
    bench = Bench(redis)
    first, second = bench.member("one"), bench.member("two")
    await first.join()
    await bench.look("u", "A")
    await first.step(block_ms=10)
    await bench.look("u", "B")
    assert await second.step(block_ms=10) == 1
    assert await bench.views() == {"A": 1, "B": 1}


async def test_a_malformed_event_is_left_behind(redis: Redis) -> None:
    bench = Bench(redis)
    feed = bench.member("one")
    await feed.join()
    await bench.redis.xadd(bench.key, {"nonsense": "1"})
    await bench.look("u", "A", data="{")
    await bench.look("u", "B", ts_ms="-")
    await bench.look("u", "C")
    assert await feed.step(block_ms=10) == 4
    assert await bench.views() == {"C": 1}
    assert await bench.pending(feed) == 0


async def test_an_event_sent_twice_counts_once(redis: Redis) -> None:
    bench = Bench(redis)
    feed = bench.member("one")
    await feed.join()
    event = await bench.look("u", "A")
    await bench.redis.xadd(bench.key, event)  # type: ignore[arg-type]
    await feed.step(block_ms=10)
    assert await bench.views() == {"A": 1}


async def test_what_a_dead_member_took_is_taken_over(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(redis)
    dead, heir = bench.member("dead"), bench.member("heir")
    await dead.join()
    await bench.look("u", "A")
    await redis.xreadgroup(dead.group, "dead", {bench.key: ">"}, count=10)
    assert await heir.step(block_ms=10) == 0
    monkeypatch.setattr(feed_module, "CLAIM_AFTER_MS", 0)
    monkeypatch.setattr(feed_module, "FORGET_CONSUMER_MS", -1)
    assert await heir.take_over() == 1
    assert await bench.views() == {"A": 1}
    assert await bench.pending(heir) == 0
    assert [member["name"] for member in await redis.xinfo_consumers(bench.key, heir.group)] == ["heir"]


async def test_the_feed_survives_a_redis_that_forgets_everything(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        client = connect(server.url)
        bench = Bench(client)
        running = asyncio.create_task(bench.member("one").run())
        try:
            await bench.look("u", "A")
            await eventually(bench.views)
            await asyncio.to_thread(server.wipe)
            await bench.look("u", "B")
            assert await eventually(bench.views) == {"B": 1}
            assert not running.done()
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            await client.aclose()
