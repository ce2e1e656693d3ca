"""The listener's limits, over real sockets, and routes with a Redis that is away."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable

import pytest
from prometheus_client import CollectorRegistry
from redis.exceptions import ConnectionError as RedisConnectionError

from workloads.common import redis
from workloads.common.publication.relay import PublishRefused, Relay
from workloads.common.publication.routes import FRESH_SECONDS, STALE_SECONDS, Routes, RouteUnavailable, parse_route
from workloads.ingest.config import IngestSettings
from workloads.ingest.metrics import Metrics
from workloads.ingest.server import RtmpServer

NOBODY = "redis://127.0.0.1:1/0"
Start = Callable[..., "asyncio.Future[RtmpServer]"]


class Store:
    """The one command of Redis that routes use; `away` makes it fail."""

    def __init__(self, entries: dict[str, str]) -> None:
        self.entries = entries
        self.reads = 0
        self.away = False

    async def hget(self, key: str, field: str) -> str | None:
        self.reads += 1
        if self.away:
            raise RedisConnectionError("away")
        assert key == "haat:ingest"
        return self.entries.get(field)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    servers = []

    async def begin(**limits: float) -> RtmpServer:
        # Port 0 is outside what a manifest may ask for, so it is set past the validation.
        settings = IngestSettings.model_validate(limits).model_copy(update={"rtmp_port": 0})
        routes = Routes(redis.connect(NOBODY, retries=0))
        server = RtmpServer(settings, routes, Metrics(CollectorRegistry()))
        await server.start()
        servers.append(server)
        return server

    yield begin  # type: ignore[misc]
    for server in servers:
        await server.close()


async def ends(server: RtmpServer, data: bytes = b"") -> bytes:
    """What a peer hears before the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_a_peer_that_does_not_finish_its_handshake_is_closed(start: Start) -> None:
    assert await ends(await start(handshake_timeout_seconds=0.1), b"\x03") == b""


async def test_a_silent_peer_is_closed(start: Start) -> None:
    heard = await ends(await start(idle_timeout_seconds=0.1), b"\x03" + bytes(1536) + bytes(1536))
    assert len(heard) == 1 + 1536 * 2


async def test_connections_are_limited(start: Start) -> None:
    server = await start(max_connections=1)
    _, first = await asyncio.open_connection("127.0.0.1", server.port)
    first.write(b"\x03")
    await first.drain()
    await asyncio.sleep(0.05)
    assert await ends(server) == b""
    first.close()


async def test_without_a_routing_table_a_publisher_is_asked_to_come_back() -> None:
    relay = Relay(Routes(redis.connect(NOBODY, retries=0)), "sk-1")
    with pytest.raises(PublishRefused) as caught:
        await relay.start()
    assert (caught.value.code, caught.value.reason) == ("NetStream.Publish.Failed", "not_ready")


async def test_a_known_route_outlives_redis_and_an_unknown_key_does_not_pass() -> None:
    now = [0.0]
    entry = json.dumps({"stream": "shop/launch", "uid": "u", "target": "http://127.0.0.1:1"})
    store = Store({hashlib.sha256(b"sk-1").hexdigest(): entry})
    routes = Routes(store, lambda: now[0])  # type: ignore[arg-type]
    for _ in range(3):
        route = await routes.find("sk-1")
        assert route is not None
        assert route.stream == "shop/launch"
    assert store.reads == 1
    assert await routes.find("sk-2") is None
    store.away = True
    now[0] = FRESH_SECONDS + 1
    assert await routes.find("sk-1") == route
    with pytest.raises(RouteUnavailable):
        await routes.find("sk-2")
    now[0] = STALE_SECONDS + 1
    with pytest.raises(RouteUnavailable):
        await routes.find("sk-1")


async def test_a_revoked_key_is_forgotten() -> None:
    now = [0.0]
    store = Store({hashlib.sha256(b"sk-1").hexdigest(): json.dumps({"stream": "a/b", "target": "http://127.0.0.1:1"})})
    routes = Routes(store, lambda: now[0])  # type: ignore[arg-type]
    assert await routes.find("sk-1")
    store.entries.clear()
    now[0] = FRESH_SECONDS + 1
    assert await routes.find("sk-1") is None
    store.away = True
    with pytest.raises(RouteUnavailable):
        await routes.find("sk-1")


@pytest.mark.parametrize("raw", ["", "[]", "{}", '{"stream":"a/b"}', '{"stream":"a/b","target":"file:///etc"}'])
def test_unusable_entries_are_no_routes(raw: str) -> None:
    assert parse_route(raw) is None
