"""Two replicas, a killed leader, an API server that goes away: nothing is missed and nobody writes twice."""

import asyncio
import signal
import uuid

import pytest

from tests.cluster.operators.conftest import World
from tests.support.operators import Operator, channel, running, stream, tenant
from tests.support.servers import eventually

FAIL_OVER_SECONDS = 30.0  # the bar (20 s) is measured by benchmarks/operators.py; a test only asks that it happens


async def leader_of(*operators: Operator) -> Operator:
    async def found() -> Operator | None:
        leading = [item for item in operators if item.process and item.process.poll() is None and await item.leads()]
        return leading[0] if leading else None

    return await eventually(found, seconds=FAIL_OVER_SECONDS, interval=0.2)  # type: ignore[return-value]


async def test_a_killed_leader_is_followed_and_work_goes_on(world: World) -> None:
    first, second = world.operator("first"), world.operator("second")
    async with tenant(world.server.kubeconfig, f"ha-{uuid.uuid4().hex[:8]}") as shop:
        with running(first, second):
            leading = await leader_of(first, second)
            standby = second if leading is first else first
            assert not await standby.leads()
            await shop.create(channel(slug=f"c-{uuid.uuid4().hex[:8]}"))
            await shop.create(stream("before"))
            await eventually(lambda: shop.get("apps/v1", "Deployment", "before-fanout"), seconds=20)
            leading.stop(signal.SIGKILL)
            await shop.create(stream("after"))
            assert await leader_of(first, second) is standby
            await eventually(lambda: shop.get("apps/v1", "Deployment", "after-fanout"), seconds=20)


@pytest.mark.slow
async def test_a_clean_stop_hands_over_at_once(world: World) -> None:
    first, second = world.operator("third"), world.operator("fourth")
    with running(first, second):
        leading = await leader_of(first, second)
        standby = second if leading is first else first
        assert leading.stop() == 0
        started = asyncio.get_running_loop().time()
        await eventually(standby.leads, seconds=10, interval=0.1)
        assert asyncio.get_running_loop().time() - started < 10


@pytest.mark.slow
async def test_a_leader_that_cannot_renew_ends_itself(world: World) -> None:
    """The control of double leadership: whoever lost the Lease must not go on writing."""
    lonely = world.operator("lonely")
    with running(lonely):
        await leader_of(lonely)
        world.server.stop(signal.SIGKILL)
        try:
            assert lonely.process is not None
            await eventually(lambda: lonely.process is not None and lonely.process.poll() is not None, seconds=40)
            assert lonely.process.returncode != 0
        finally:
            world.server.start()


async def test_an_api_server_that_comes_back_finds_operators_that_missed_nothing(world: World) -> None:
    """Without election the operators outlive an outage, and do what was asked for while they could not see it."""
    steady = world.operator("steady", HAAT_LEADER_ELECTION="false")
    namespace = f"outage-{uuid.uuid4().hex[:8]}"
    with running(steady):
        async with tenant(world.server.kubeconfig, namespace) as shop:
            await shop.create(channel(slug=f"c-{uuid.uuid4().hex[:8]}"))
            await shop.create(stream("kept"))
            await eventually(lambda: shop.get("apps/v1", "Deployment", "kept-fanout"), seconds=20)
            await asyncio.sleep(0.3)  # the embedded API server writes its journal in batches of 40 ms
        world.server.stop(signal.SIGKILL)
        await asyncio.sleep(4)
        world.server.start()
        async with tenant(world.server.kubeconfig, namespace) as shop:
            assert await shop.get("apps/v1", "Deployment", "kept-fanout")
            await shop.create(stream("new"))
            await eventually(lambda: shop.get("apps/v1", "Deployment", "new-fanout"), seconds=60)
        assert steady.process is not None
        assert steady.process.poll() is None
