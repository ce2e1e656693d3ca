"""A pool's rollout as the cluster sees it: a busy worker keeps its stream for as long as that lasts."""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import yaml
from redis.asyncio import Redis

from tests.cluster.operators.conftest import World
from tests.support.operators import API, PLATFORM, Operator, Tenant, channel, running, stream, tenant
from tests.support.servers import eventually

WORKER = "pool-default-a"


@pytest.fixture(scope="module")
def operator(world: World) -> Iterator[Operator]:
    """A replica with a platform file of its own to change."""
    made = world.operator("pools", HAAT_LEADER_ELECTION="false", HAAT_RESYNC_SECONDS="3600")
    made.platform_file.write_text(yaml.safe_dump(PLATFORM))
    with running(made):
        yield made


@pytest.fixture
async def system(world: World) -> AsyncIterator[Tenant]:
    """The platform's namespace."""
    async with tenant(world.server.kubeconfig, "haat-system") as made:
        yield made


@contextlib.asynccontextmanager
async def signs_of_life(url: str, hosted: str) -> AsyncIterator[Redis]:
    """A worker's heartbeats, and those of the stream that it hosts, with a publisher."""
    redis = Redis.from_url(url, decode_responses=True)

    async def beat() -> None:
        while True:
            now = int(time.time() * 1000)
            given = [hosted] if await redis.hexists("haat:allocations", hosted) else []
            worker = {"ts_ms": now, "url": "http://10.0.0.7:8080", "units": 8, "streams": given, "draining": False}
            media = {"ts_ms": now, "receiving": True, "playable": True, "protocol": "rtmp"}
            beats = {f"worker/default/{WORKER}": worker, f"transcoder/{hosted}/{WORKER}": media}
            await redis.hset("haat:heartbeats", mapping={name: json.dumps(body) for name, body in beats.items()})
            await asyncio.sleep(0.5)

    task = asyncio.create_task(beat())
    try:
        yield redis
    finally:
        task.cancel()
        await redis.aclose()


async def labels(system: Tenant) -> dict[str, str]:
    found = await system.get("v1", "Pod", WORKER)
    return found["metadata"]["labels"] if found else {}


async def test_a_busy_worker_leaves_its_deployment_and_goes_when_its_stream_is_over(
    world: World, shop: Tenant, system: Tenant, operator: Operator
) -> None:
    await shop.create(channel(slug=f"c-{uuid.uuid4().hex[:8]}"))
    deployment = await eventually(lambda: system.get("apps/v1", "Deployment", "pool-default"), seconds=20)
    template: dict[str, Any] = deployment["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": WORKER, "labels": template["metadata"]["labels"]}}
    await system.create(pod | {"spec": {"containers": [{"name": "transcoder", "image": "haat/workloads:dev"}]}})
    await shop.create(stream("x", transcode={"placement": "Pooled"}))
    hosted = f"{shop.namespace}/x"
    async with signs_of_life(world.redis.url, hosted) as redis:
        await eventually(lambda: redis.hexists("haat:allocations", hosted), seconds=20)

        async def marked() -> bool:
            return (await labels(system)).get("haat.dev/safe-to-evict") == "false"

        await eventually(marked, seconds=20)
        newer = PLATFORM | {"rtmpUrl": "rtmp://elsewhere.example:1935/live"}
        operator.platform_file.write_text(yaml.safe_dump(newer))

        async def left() -> bool:
            found = await labels(system)
            return found.get("haat.dev/leaving") == "true" and found["app.kubernetes.io/name"] != "transcoder-pool"

        await eventually(left, seconds=20)
        budget = await eventually(
            lambda: system.get("policy/v1", "PodDisruptionBudget", "pool-default-leaving"), seconds=20
        )
        assert budget["spec"]["minAvailable"] == 1
        assert json.loads(str(await redis.hget("haat:allocations", hosted)))["worker"] == WORKER

        await shop.delete(API, "LiveStream", "x")

        async def gone() -> bool:
            return await system.get("v1", "Pod", WORKER) is None

        await eventually(gone, seconds=20)
