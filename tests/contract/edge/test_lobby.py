"""The edge's lobby with a real Redis and real sockets: knock, hold, send on."""

import asyncio
import json
import time
import uuid

import pytest
import websockets
from redis.asyncio import Redis

from tests.contract.edge.conftest import Edge
from tests.support.servers import eventually
from workloads.common.origins import KEY
from workloads.edge.serve.lobby import KNOCKS


def name() -> str:
    return f"shop/{uuid.uuid4().hex[:8]}"


async def test_a_visitor_knocks_waits_and_is_sent_on(edge: Edge, redis: Redis) -> None:
    stream = name()
    await redis.hset(KEY, stream, json.dumps({"room": False}))
    async with websockets.connect(f"ws://{edge.address}/ws/{stream}") as socket:
        knocked = int(str(await eventually(lambda: redis.hget(KNOCKS, stream))))
        assert abs(time.time() * 1000 - knocked) < 60_000
        assert edge.lobby.held == 1
        await redis.hset(KEY, stream, json.dumps({"room": True}))
        frame = json.loads(await asyncio.wait_for(socket.recv(), 10))
        assert frame["type"] == "reconnect"
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
    await eventually(lambda: edge.lobby.held == 0)


async def test_an_unknown_stream_is_an_error_frame(edge: Edge, redis: Redis) -> None:
    async with websockets.connect(f"ws://{edge.address}/ws/{name()}") as socket:
        frame = json.loads(await asyncio.wait_for(socket.recv(), 10))
        assert (frame["type"], frame["code"]) == ("error", "unknown_stream")


async def test_a_visitor_that_leaves_is_forgotten(edge: Edge, redis: Redis) -> None:
    stream = name()
    await redis.hset(KEY, stream, json.dumps({"room": False}))
    async with websockets.connect(f"ws://{edge.address}/ws/{stream}") as socket:
        await socket.send(json.dumps({"type": "hello", "token": "x", "rooms": [stream]}))
        await eventually(lambda: edge.lobby.held == 1)
    await eventually(lambda: edge.lobby.held == 0)
