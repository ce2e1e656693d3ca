"""An edge over a real Redis, on a port of its own, with the protocol that it runs in production."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from tests.contract.edge.origin import Origin, running_origin
from tests.support.servers import RedisServer, eventually, free_port
from workloads.common import tokens
from workloads.common.redis import connect
from workloads.common.tokens import Signer
from workloads.edge.config import EdgeSettings
from workloads.edge.plane import Plane, plane
from workloads.edge.serve.lobby import Lobby


@dataclass
class Edge:
    """A running edge; `address` is `host:port`. `signer` makes tokens of the platform that it believes."""

    address: str
    plane: Plane
    signer: Signer
    registry: CollectorRegistry

    @property
    def lobby(self) -> Lobby:
        """Where visitors of sleeping rooms wait."""
        return self.plane.lobby

    def host_token(self, stream: str) -> str:
        """A token of a host of one stream."""
        return self.signer.issue(sub="host", name="Host", role="host", streams=[stream], ttl_seconds=60)


@pytest.fixture
async def redis(shared_redis: RedisServer) -> AsyncIterator[Redis]:
    client = connect(shared_redis.url)
    yield client
    await client.aclose()


@contextlib.asynccontextmanager
async def running_edge(redis: Redis, web_root: Any, **settings: Any) -> AsyncIterator[Edge]:
    """An edge with these settings beside those of a test."""
    signer, registry, port = Signer(tokens.new_private_key()), CollectorRegistry(), free_port()
    given = {"edge_cache_bytes": 2**22, "edge_max_pending": 64, "origin_timeout_seconds": 5.0} | settings
    chosen = EdgeSettings(web_root=web_root, listen_port=port, auth_jwks=signer.jwks(), **given)
    async with plane(chosen, redis, registry) as found:
        config = uvicorn.Config(found.app, port=port, log_level="warning", lifespan="off", **found.options)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await eventually(lambda: server.started)
        found.readiness.started = True
        try:
            yield Edge(f"127.0.0.1:{port}", found, signer, registry)
        finally:
            server.should_exit = True
            await serving


@pytest.fixture
def web_root(tmp_path_factory: pytest.TempPathFactory) -> Any:
    (root := tmp_path_factory.mktemp("web")).joinpath("index.html").write_text("<title>Haat</title>")
    return root


@pytest.fixture
async def edge(redis: Redis, web_root: Any) -> AsyncIterator[Edge]:
    async with running_edge(redis, web_root) as found:
        yield found


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with running_origin() as found:
        yield found


@pytest.fixture
async def viewer(edge: Edge) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://{edge.address}", timeout=10) as client:
        yield client


async def publish(redis: Redis, origin: str, **rules: Any) -> str:
    """A stream with this origin; with `rules`, of a channel that has them."""
    name = uuid.uuid4().hex[:8]
    stream, entry = f"shop/{name}", {"origin": origin}
    if rules:
        entry["slug"] = f"c-{name}"
        await redis.hset("haat:channels", entry["slug"], json.dumps({"channel": "shop/aarong"} | rules))
    await redis.hset("haat:streams", stream, json.dumps(entry))
    return stream
