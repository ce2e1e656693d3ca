"""A worker and its mailbox with a real Redis: which stream a key opens, and what is answered while things move."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from pool_plane import LADDER, digest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from operators.core.pooling import Wish
from operators.core.pooling import Worker as Place
from operators.pool.allocator import Allocator
from operators.pool.observe import workers_by_pool
from tests.support.servers import RedisServer, eventually, free_port
from workloads.common import flv
from workloads.common.health import Readiness
from workloads.common.problem import Problem
from workloads.common.redis import connect
from workloads.transcoder.config import TranscoderSettings
from workloads.transcoder.hosted import Tools
from workloads.transcoder.metrics import Metrics
from workloads.transcoder.pool import worker as module
from workloads.transcoder.pool.mailbox import CHANNEL, INGEST_KEY, KEY
from workloads.transcoder.pool.worker import Worker
from workloads.transcoder.serve import app

POD = "pool-default-x"


@dataclass
class Running:
    """A worker with what surrounds it."""

    worker: Worker
    redis: Redis
    readiness: Readiness
    registry: CollectorRegistry

    async def allocate(self, stream: str, *keys: str, announce: bool = True, **changes: Any) -> None:
        body = {"pool": "default", "worker": POD, "units": 2, "uid": "u", "keys": [digest(key) for key in keys]}
        body["spec"] = {"stream": stream, "ladder": LADDER}
        await self.redis.hset(KEY, stream, json.dumps(body | changes))
        if announce:
            await self.redis.publish(CHANNEL, stream)

    async def refused(self, key: str) -> tuple[int, str]:
        with pytest.raises(Problem) as caught:
            await self.worker.by_key(key)
        return caught.value.status, caught.value.code

    async def opened(self, key: str) -> str:
        return (await self.worker.by_key(key)).stream.spec.stream


def build(redis: Redis, url: str, **settings: Any) -> Running:
    registry, readiness = CollectorRegistry(), Readiness()
    values = TranscoderSettings(pool="default", pod_name=POD, redis_url=url, pool_units=8, **settings)
    return Running(Worker(Tools(values, "ffmpeg", Metrics(registry), redis), readiness), redis, readiness, registry)


@pytest.fixture
async def redis(shared_redis: RedisServer) -> AsyncIterator[Redis]:
    client = connect(shared_redis.url, retries=0)
    await client.delete(KEY, INGEST_KEY)
    yield client
    await client.delete(KEY, INGEST_KEY)
    await client.aclose()


@pytest.fixture
async def running(redis: Redis, shared_redis: RedisServer) -> AsyncIterator[Running]:
    running = build(redis, shared_redis.url)
    await running.worker.start()
    await eventually(lambda: running.readiness.started)
    yield running
    await running.worker.close()


def name() -> str:
    return f"shop/{uuid.uuid4().hex[:8]}"


async def test_a_key_that_came_faster_than_its_allocation_is_accepted(running: Running) -> None:
    stream = name()
    await running.allocate(stream, "first", "second", announce=False)
    assert await running.opened("first") == stream
    assert await running.opened("second") == stream
    assert await running.refused("third") == (401, "stream_key")
    assert await running.refused("") == (401, "stream_key")


async def test_a_channel_s_key_means_the_stream_that_ingest_leads_to(running: Running) -> None:
    streams = [name(), name()]
    for stream in streams:
        await running.allocate(stream, f"own of {stream}", "channel", announce=False)
    assert await running.refused("channel") == (503, "moved"), "nobody can tell which of the two"
    for stream in streams:
        await running.redis.hset(INGEST_KEY, digest("channel"), json.dumps({"stream": stream}))
        assert await running.opened("channel") == stream
        assert await running.opened(f"own of {stream}") == stream


async def test_a_key_that_ingest_knows_is_never_called_wrong(running: Running) -> None:
    """The control is the same key before ingest knew it: 401 makes a publisher give up, 503 makes it come again."""
    assert await running.refused("elsewhere") == (401, "stream_key")
    await running.redis.hset(INGEST_KEY, digest("elsewhere"), json.dumps({"stream": name()}))
    assert await running.refused("elsewhere") == (503, "moved")


async def test_announcements_bring_change_and_loss_of_a_place(running: Running) -> None:
    stream = name()
    await running.allocate(stream, "key")
    hosted = await eventually(lambda: running.worker.find(stream))
    await running.allocate(stream, "key", spec={"stream": stream, "title": "Eid", "ladder": LADDER})
    await eventually(lambda: hosted.stream.spec.title == "Eid")  # type: ignore[attr-defined]
    assert running.worker.find(stream) is hosted, "it was changed, not replaced"
    await running.allocate(stream, "key", uid="another")
    await eventually(lambda: running.worker.find(stream) not in (hosted, None))
    await running.allocate(stream, "key", worker="pool-default-y", uid="another")
    await eventually(lambda: running.worker.find(stream).stream.retired)  # type: ignore[union-attr]
    assert await running.refused("key") == (503, "moved")
    await running.allocate(stream, "key", uid="another")
    await eventually(lambda: not running.worker.find(stream).stream.retired)  # type: ignore[union-attr]
    assert await running.opened("key") == stream


async def test_a_broken_entry_changes_nothing(running: Running) -> None:
    stream = name()
    await running.allocate(stream, "key", announce=False)
    hosted = await running.worker.by_key("key")
    for broken in ("{", "[]", json.dumps({"worker": POD}), json.dumps({"worker": POD, "keys": "x", "spec": {}})):
        await running.redis.hset(KEY, stream, broken)
        await running.redis.publish(CHANNEL, stream)
        assert (await running.refused("unknown"))[0] == 401, "a whole read went by"
        assert running.worker.find(stream) is hosted


async def test_the_interface_dispatches_by_stream(running: Running) -> None:
    stream = name()
    await running.allocate(stream, "key", announce=False)
    await running.worker.by_key("key")
    asgi = app.build(running.worker, None, running.readiness, "")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=asgi), base_url="http://worker") as client:  # type: ignore[arg-type]
        here = await client.get(f"/hls/{stream}/180p/1.m4s")
        assert (here.status_code, here.json()["code"]) == (404, "not_live")
        for path in ("/hls/shop/unknown/master.m3u8", "/hls/shop", "/hls//"):
            assert (await client.get(path)).json()["code"] == "unknown_stream"
        assert (await client.get("/streams/shop/unknown/studio")).status_code == 503
        assert (await client.get("/readyz")).status_code == 200
        running.worker.find(stream).stream.retire()  # type: ignore[union-attr]
        assert (await client.get(f"/hls/{stream}/180p/1.m4s")).json()["code"] == "moved"


async def test_series_end_with_the_stream(running: Running) -> None:
    stream = name()
    await running.allocate(stream, "key")

    def value() -> float | None:
        return running.registry.get_sample_value("haat_transcoder_receiving", {"stream": stream})

    await eventually(lambda: value() == 0.0)
    await running.allocate(stream, "key", worker="pool-default-y")
    await eventually(lambda: value() is None)


async def test_without_redis_a_worker_is_ready_after_a_while_and_refuses_softly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)
    url = f"redis://127.0.0.1:{free_port()}/0"
    running = build(connect(url, retries=0), url)
    await running.worker.start()
    try:
        await asyncio.sleep(0)
        assert not running.readiness.started
        await eventually(lambda: running.readiness.started)
        assert await running.refused("key") == (503, "no_allocations")
    finally:
        await running.worker.close()
        await running.redis.aclose()


async def test_draining_reports_nothing_that_nobody_publishes(running: Running) -> None:
    stream = name()
    await running.allocate(stream, "key", announce=False)
    hosted = await running.worker.by_key("key")

    async def beat() -> dict[str, Any]:
        return dict(json.loads(str(await running.redis.hget("haat:heartbeats", f"worker/default/{POD}") or "{}")))

    async def told() -> bool:
        return (await beat()).get("streams") == [stream]

    await eventually(told)
    await running.worker.drain()

    async def drained() -> bool:
        found = await beat()
        return bool(found["draining"]) and found["streams"] == []

    await eventually(drained)
    assert hosted.publisher.draining


async def test_the_operators_allocator_and_a_worker_understand_each_other(running: Running) -> None:
    stream = name()
    spec = json.dumps({"stream": stream, "uid": "u", "title": "t", "ladder": LADDER, "chat": {"enabled": True}})
    wish = Wish("default", 1, "u", (digest("key"),), spec)
    assert await Allocator(running.redis).ensure(stream, wish, {"default": [Place(POD, "http://x", 8)]})
    assert await running.opened("key") == stream

    async def seen() -> list[Place]:
        beats = await running.redis.hgetall("haat:heartbeats")
        found = workers_by_pool(beats, time.time()).get("default", [])
        return [place for place in found if place.pod == POD and stream in place.streams]

    place = (await eventually(seen))[0]  # type: ignore[index]
    assert (place.units, place.url, place.draining) == (8, "http://127.0.0.1:8080", False)


async def test_the_end_of_the_grace_period_ends_who_still_publishes(redis: Redis, shared_redis: RedisServer) -> None:
    running, stream = build(redis, shared_redis.url, pool_drain_seconds=0.2), name()
    await running.worker.start()
    await running.allocate(stream, "key", announce=False)

    async def endless() -> AsyncIterator[bytes]:
        yield flv.HEADER
        await asyncio.Event().wait()

    asgi = app.build(running.worker, None, running.readiness, "")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=asgi), base_url="http://worker") as client:  # type: ignore[arg-type]
        headers = {"Authorization": "Bearer key"}
        publishing = asyncio.create_task(client.post("/ingest", content=endless(), headers=headers))
        await eventually(lambda: (hosted := running.worker.find(stream)) and hosted.stream.receiving)
        await running.worker.drain()
        answer = await publishing
    await running.worker.close()
    assert (answer.status_code, answer.json()["code"]) == (503, "draining")
