"""An edge over a real Redis, on a port of its own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from tests.support.servers import RedisServer, eventually, free_port
from workloads.common.health import Readiness
from workloads.common.origins import Origins
from workloads.common.redis import connect
from workloads.edge.app import App
from workloads.edge.cache import CoalescingCache
from workloads.edge.channels import Channels
from workloads.edge.lobby import Lobby
from workloads.edge.media import Media
from workloads.edge.metrics import Metrics
from workloads.edge.studio import Studio
from workloads.edge.upstream import Upstream
from workloads.edge.web import Web


@dataclass
class Edge:
    """A running edge; `address` is `host:port`."""

    address: str
    lobby: Lobby


@pytest.fixture
async def redis(shared_redis: RedisServer) -> AsyncIterator[Redis]:
    client = connect(shared_redis.url)
    yield client
    await client.aclose()


@pytest.fixture
async def edge(redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    (root := tmp_path_factory.mktemp("web")).joinpath("index.html").write_text("<title>Haat</title>")
    lobby, upstream, cache = Lobby(redis), Upstream(1, 5), CoalescingCache(2**20, 16)
    origins, web = Origins(redis), Web(root, "")
    app = App(
        media=Media(origins, upstream, cache, Metrics(CollectorRegistry())),
        web=web,
        readiness=Readiness(),
        lobby=lobby,
        channels=Channels(redis, web),
        studio=Studio(origins, upstream),
    )
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", ws="websockets-sansio", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    yield Edge(f"127.0.0.1:{port}", lobby)
    server.should_exit = True
    await serving
    await upstream.close()
