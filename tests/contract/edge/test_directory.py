"""Look-ups in a directory: how often Redis is asked, what outlives it, and how much is remembered."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from tests.support.servers import eventually, free_port, redis_server
from workloads.common import directory as module
from workloads.common.directory import FRESH_SECONDS, GRACE_SECONDS, STALE_SECONDS, Directory, DirectoryUnavailable
from workloads.common.redis import connect


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def key(redis: Redis) -> AsyncIterator[str]:
    key = f"test:{uuid.uuid4().hex}"
    yield key
    await redis.delete(key)


async def asked(redis: Redis) -> int:
    statistics = (await redis.info("commandstats")).get("cmdstat_hget", {})
    return int(statistics.get("calls", 0))


async def test_many_questions_are_one_and_are_remembered_for_a_second(redis: Redis, key: str) -> None:
    clock, before = Clock(), await asked(redis)
    directory = Directory(redis, key, str.upper, clock=clock)
    await redis.hset(key, "a", "value")
    assert await asyncio.gather(*(directory.find("a") for _ in range(50))) == ["VALUE"] * 50
    assert [await directory.find("b"), await directory.find("b")] == [None, None]
    assert await asked(redis) - before == 2
    await redis.hset(key, "a", "new")
    assert await directory.find("a") == "VALUE"
    clock.now += FRESH_SECONDS
    assert await directory.find("a") == "NEW"
    await redis.hset(key, "a", "newer")
    directory.forget("a")
    assert await directory.find("a") == "NEWER"


async def test_the_last_answer_outlives_redis_for_a_while(tmp_path_factory: pytest.TempPathFactory) -> None:
    clock = Clock()
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        client = connect(server.url, retries=0)
        directory = Directory(client, "k", str.upper, clock=clock)
        await client.hset("k", "a", "value")
        await directory.find("a")
    clock.now += STALE_SECONDS - 1
    assert await directory.find("a") == "VALUE"
    with pytest.raises(DirectoryUnavailable):
        await directory.find("b")
    clock.now += 2
    with pytest.raises(DirectoryUnavailable):
        await directory.find("a")
    await client.aclose()


async def test_made_up_names_do_not_fill_the_memory(redis: Redis, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 10)
    directory = Directory(redis, key, str)
    await redis.hset(key, "a", "value")
    before = await asked(redis)
    await directory.find("a")
    for index in range(10):
        await directory.find(f"made up {index}")
    await directory.find("made up 9")
    assert await asked(redis) - before == 11
    await directory.find("a")
    assert await asked(redis) - before == 12, "the oldest was forgotten"


async def test_a_redis_that_was_never_there_is_an_error() -> None:
    client = connect(f"redis://127.0.0.1:{free_port()}/0", retries=0)
    with pytest.raises(DirectoryUnavailable):
        await Directory(client, "k", str).find("a")
    await client.aclose()


async def test_an_answer_that_has_just_grown_old_is_given_while_redis_is_asked(redis: Redis, key: str) -> None:
    clock, before = Clock(), await asked(redis)
    directory = Directory(redis, key, str.upper, clock=clock)
    assert directory.peek("a") is None
    await redis.hset(key, "a", "value")
    await directory.find("a")
    assert directory.peek("a") == ("VALUE",)
    await redis.hset(key, "a", "new")
    clock.now += FRESH_SECONDS
    assert [directory.peek("a") for _ in range(50)] == [("VALUE",)] * 50
    await eventually(lambda: directory.peek("a") == ("NEW",))
    assert await asked(redis) - before == 2
    clock.now += FRESH_SECONDS + GRACE_SECONDS
    assert directory.peek("a") is None, "nobody has looked for too long"
