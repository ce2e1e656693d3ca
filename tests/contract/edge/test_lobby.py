"""The edge's lobby with a real Redis and real sockets: knock, hold, send on."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator

import pytest
import uvicorn
import websockets
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from tests.support.servers import RedisServer, eventually, free_port
from workloads.common.health import Readiness
from workloads.common.redis import connect
from workloads.edge.app import App
from workloads.edge.cache import CoalescingCache
from workloads.edge.lobby import KNOCKS, Lobby
from workloads.edge.media import Media
from workloads.edge.metrics import Metrics
from workloads.edge.origins import KEY, Origins
from workloads.edge.upstream import Upstream
from workloads.edge.web import Web


@pytest.fixture
async def redis(shared_redis: RedisServer) -> AsyncIterator[Redis]:
    client = connect(shared_redis.url)
    yield client
    await client.aclose()


@pytest.fixture
async def edge(redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[str, Lobby]]:
    (root := tmp_path_factory.mktemp("web")).joinpath("index.html").write_text("<title>Haat</title>")
    lobby, upstream, cache = Lobby(redis), Upstream(1, 5), CoalescingCache(2**20, 16)
    media = Media(Origins(redis), upstream, cache, Metrics(CollectorRegistry()))
    app = App(media, Web(root, ""), Readiness(), lobby)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", ws="websockets-sansio", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    yield f"ws://127.0.0.1:{port}", lobby
    server.should_exit = True
    await serving
    await upstream.close()


def name() -> str:
    return f"shop/{uuid.uuid4().hex[:8]}"


async def test_a_visitor_knocks_waits_and_is_sent_on(edge: tuple[str, Lobby], redis: Redis) -> None:
    url, lobby = edge
    stream = name()
    await redis.hset(KEY, stream, json.dumps({"room": False}))
    async with websockets.connect(f"{url}/ws/{stream}") as socket:
        knocked = int(str(await eventually(lambda: redis.hget(KNOCKS, stream))))
        assert abs(time.time() * 1000 - knocked) < 60_000
        assert lobby.held == 1
        await redis.hset(KEY, stream, json.dumps({"room": True}))
        frame = json.loads(await asyncio.wait_for(socket.recv(), 10))
        assert frame["type"] == "reconnect"
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
    await eventually(lambda: lobby.held == 0)


async def test_an_unknown_stream_is_an_error_frame(edge: tuple[str, Lobby], redis: Redis) -> None:
    async with websockets.connect(f"{edge[0]}/ws/{name()}") as socket:
        frame = json.loads(await asyncio.wait_for(socket.recv(), 10))
        assert (frame["type"], frame["code"]) == ("error", "unknown_stream")


async def test_a_visitor_that_leaves_is_forgotten(edge: tuple[str, Lobby], redis: Redis) -> None:
    url, lobby = edge
    stream = name()
    await redis.hset(KEY, stream, json.dumps({"room": False}))
    async with websockets.connect(f"{url}/ws/{stream}") as socket:
        await socket.send(json.dumps({"type": "hello", "token": "x", "rooms": [stream]}))
        await eventually(lambda: lobby.held == 1)
    await eventually(lambda: lobby.held == 0)
