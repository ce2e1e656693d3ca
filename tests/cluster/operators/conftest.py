"""An API server, a Redis and the operators, each a process of its own; no node, so pods never start here."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.operators import ApiServer, Operator, Tenant, running, tenant
from tests.support.servers import RedisServer, redis_server


@dataclass
class World:
    """What the tests of this folder share."""

    server: ApiServer
    redis: RedisServer
    folder: Path

    def operator(self, name: str, **settings: str) -> Operator:
        """A replica, not started yet."""
        return Operator(self.folder, self.server.kubeconfig, self.redis.url, name=name, **settings)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The servers."""
    server = ApiServer(tmp_path_factory.mktemp("apiserver"))
    server.start()
    asyncio.run(_prepare(server.kubeconfig))
    with redis_server(tmp_path_factory.mktemp("redis")) as redis:
        yield World(server, redis, tmp_path_factory.mktemp("operators"))
    server.stop()


async def _prepare(kubeconfig: Path) -> None:
    """Our kinds and the platform's namespace, before any operator looks for them."""
    async with tenant(kubeconfig, "default"):
        pass


@pytest.fixture(scope="module")
def operator(world: World) -> Iterator[Operator]:
    """One running replica."""
    made = world.operator("one", HAAT_LEADER_ELECTION="false", HAAT_RESYNC_SECONDS="3600")
    with running(made):
        yield made


@pytest.fixture
async def shop(world: World) -> AsyncIterator[Tenant]:
    """A namespace of the test's own."""
    async with tenant(world.server.kubeconfig, f"shop-{uuid.uuid4().hex[:8]}") as made:
        yield made
