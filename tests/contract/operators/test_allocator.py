"""The allocation table with a real Redis: one place for each stream, kept over losses and new leaders."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from operators.core.pooling import Wish, Worker
from operators.pool.allocator import CHANNEL, KEY, Allocator
from tests.support.servers import RedisServer
from workloads.common.redis import connect


def wish(units: int = 4, **more: object) -> Wish:
    return Wish(**({"pool": "default", "units": units, "uid": "u", "keys": ("k",), "spec": "{}"} | more))  # type: ignore[arg-type]


def workers(*pods: str, units: int = 8, **more: object) -> dict[str, list[Worker]]:
    return {"default": [Worker(pod, f"http://{pod}", units, **more) for pod in pods]}  # type: ignore[arg-type]


@pytest.fixture
async def redis(shared_redis: RedisServer) -> AsyncIterator[Redis]:
    client = connect(shared_redis.url)
    await client.delete(KEY)
    yield client
    await client.delete(KEY)
    await client.aclose()


async def test_a_crowd_of_streams_never_overfills_a_worker(redis: Redis) -> None:
    allocator = Allocator(redis)
    fleet = workers("a", "b", "c")
    await asyncio.gather(*(allocator.ensure(f"shop/s{number}", wish(3), fleet) for number in range(10)))
    used: dict[str, int] = {}
    for allocation in allocator.table.values():
        used[allocation.worker] = used.get(allocation.worker, 0) + allocation.units
    assert used == {"a": 6, "b": 6, "c": 6}
    assert len(allocator.pending) == 4


async def test_a_place_is_kept_and_its_content_follows(redis: Redis) -> None:
    allocator = Allocator(redis)
    assert await allocator.ensure("shop/s", wish(), workers("a", "b"))
    assert not await allocator.ensure("shop/s", wish(), workers("a", "b"))
    place = allocator.table["shop/s"].worker
    assert await allocator.ensure("shop/s", wish(keys=("k", "next")), workers("a", "b"))
    stored = json.loads(str(await redis.hget(KEY, "shop/s")))
    assert (stored["worker"], stored["keys"]) == (place, ["k", "next"])


async def test_a_lost_worker_and_a_draining_one_are_left(redis: Redis) -> None:
    allocator = Allocator(redis)
    await allocator.ensure("shop/s", wish(), workers("a"))
    assert await allocator.ensure("shop/s", wish(), workers("b"))
    assert allocator.table["shop/s"].worker == "b"
    draining = {"default": [Worker("b", "http://b", 8, draining=True), Worker("c", "http://c", 8)]}
    assert await allocator.ensure("shop/s", wish(), draining)
    assert allocator.table["shop/s"].worker == "c"


async def test_a_stream_that_plays_stays_on_a_draining_worker(redis: Redis) -> None:
    allocator = Allocator(redis)
    await allocator.ensure("shop/s", wish(), workers("a"))
    fleet = {"default": [Worker("a", "http://a", 8, ("shop/s",), draining=True), Worker("b", "http://b", 8)]}
    assert not await allocator.ensure("shop/s", wish(), fleet)


async def test_what_redis_loses_is_written_again_and_a_new_leader_finds_it(redis: Redis) -> None:
    allocator = Allocator(redis)
    await allocator.ensure("shop/s", wish(), workers("a"))
    await redis.delete(KEY)
    await allocator.load()
    assert await redis.hexists(KEY, "shop/s")
    heir = Allocator(redis)
    await heir.load()
    assert heir.table == allocator.table


async def test_a_new_leader_without_a_table_leaves_a_stream_where_it_is_hosted(redis: Redis) -> None:
    heir = Allocator(redis)
    fleet = {"default": [Worker("a", "http://a", 8, ("shop/other",)), Worker("b", "http://b", 8, ("shop/s",))]}
    await heir.ensure("shop/s", wish(), fleet)
    assert heir.table["shop/s"].worker == "b"


async def test_two_leaders_cannot_both_write(redis: Redis) -> None:
    """Compare-and-set is the control of a leader that has lost its Lease and does not know yet."""
    old, new = Allocator(redis), Allocator(redis)
    await old.ensure("shop/s", wish(), workers("a"))
    await new.load()
    await new.ensure("shop/s", wish(), workers("b"))
    assert not await old.ensure("shop/s", wish(keys=("stale",)), workers("a"))
    assert json.loads(str(await redis.hget(KEY, "shop/s")))["worker"] == "b"


async def test_releasing_frees_the_units_and_tells_the_workers(redis: Redis) -> None:
    allocator = Allocator(redis)
    async with redis.pubsub(ignore_subscribe_messages=True) as listener:
        await listener.subscribe(CHANNEL)
        await allocator.ensure("shop/s", wish(8), workers("a"))
        assert await allocator.release("shop/s")
        assert not await allocator.release("shop/s")
        heard = []
        for _ in range(20):
            message = await listener.get_message(timeout=0.2)
            heard += [message["data"]] if message else []
            if len(heard) == 2:
                break
    assert heard == ["shop/s", "shop/s"]
    assert await allocator.ensure("shop/t", wish(8), workers("a"))
