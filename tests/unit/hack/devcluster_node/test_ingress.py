"""The Ingress proxy between real sockets: an aiohttp server as the pod, raw and aiohttp clients."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from hack.devcluster.proxy.connection import ClientSide
from hack.devcluster.proxy.endpoints import Address, ServicePort
from hack.devcluster.proxy.ingress import IngressProxy
from hack.devcluster.proxy.relay import Relay
from hack.devcluster.proxy.upstream import PodSide

TARGET = ServicePort("n", "s", "http")


class Routes(IngressProxy):
    """The proxy with a fixed route instead of caches; the rest is the real thing."""

    def __init__(self) -> None:
        self.clients: set[Relay] = set()
        self.address: Address | None = None
        self._idle: dict[Address, Any] = {}
        self.connects = 0

    def route(self, host: str, path: str) -> tuple[bool, ServicePort | None]:
        return not path.startswith("/unknown"), TARGET

    def pick(self, target: ServicePort) -> Address | None:
        return self.address

    async def connect(self, address: Address) -> PodSide:
        self.connects += 1
        return await super().connect(address)


async def echo(request: web.Request) -> web.Response:
    body = await request.read()
    names = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host")
    return web.json_response({"size": len(body), "path": request.path_qs, **{k: request.headers.get(k) for k in names}})


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(3):
        await response.write(f"part{number}\n".encode())
        await asyncio.sleep(0)
    return response


async def cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"short")
    assert request.transport is not None
    request.transport.abort()
    return response


async def socket(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data[::-1])
    return ws


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Routes, str]]:
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/echo", echo)
    app.router.add_get("/stream", stream)
    app.router.add_get("/cut", cut)
    app.router.add_get("/ws", socket)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    proxy = Routes()
    proxy.address = runner.addresses[0]
    server = await asyncio.get_running_loop().create_server(lambda: ClientSide(proxy), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield proxy, f"http://127.0.0.1:{port}"
    finally:
        server.close()
        for client in tuple(proxy.clients):
            client.abort()
        await runner.cleanup()


Checker = Callable[[aiohttp.ClientSession, str, Routes], Any]


async def test_requests_share_one_pod_connection_and_carry_the_client() -> None:
    async with running() as (proxy, url), aiohttp.ClientSession() as session:
        for number in range(5):
            async with session.get(f"{url}/echo?x={number}") as answer:
                found = await answer.json()
        assert found["path"] == "/echo?x=4"
        assert found["X-Forwarded-For"] == "127.0.0.1"
        assert found["X-Forwarded-Proto"] == "http"
        assert found["X-Forwarded-Host"] == url.removeprefix("http://")
        assert proxy.connects == 1


@pytest.mark.parametrize("chunked", [False, True])
async def test_large_bodies_pass(chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 65_536

    async with running() as (_, url), aiohttp.ClientSession() as session:
        data: Any = pieces() if chunked else b"x" * (64 * 65_536)
        async with session.post(f"{url}/echo", data=data) as answer:
            assert (await answer.json())["size"] == 64 * 65_536


async def test_expect_continue() -> None:
    async with running() as (_, url), aiohttp.ClientSession() as session:  # noqa: SIM117 - the body must not outlive it
        async with session.post(f"{url}/echo", data=b"abc", expect100=True) as answer:
            assert (await answer.json())["size"] == 3


async def test_streaming_answer_and_next_request() -> None:
    async with running() as (proxy, url), aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(f"{url}/stream") as answer:
                assert await answer.text() == "part0\npart1\npart2\n"
        assert proxy.connects == 1


async def test_web_socket() -> None:
    async with running() as (_, url), aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws") as ws:
        for text in ("abc", "x" * 100_000):
            await ws.send_str(text)
            assert await ws.receive_str() == text[::-1]


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with running() as (_, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(
            b"GET /echo?1 HTTP/1.1\r\nHost: h\r\n\r\nGET /echo?2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        )
        raw = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert raw.count(b"HTTP/1.1 200") == 2
        assert raw.index(b"/echo?1") < raw.index(b"/echo?2")


async def test_http_1_0() -> None:
    async with running() as (_, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"GET /echo HTTP/1.0\r\n\r\n")
        raw = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert b" 200 " in raw
        assert b"chunked" not in raw


async def test_own_answers() -> None:
    async with running() as (proxy, url), aiohttp.ClientSession() as session:
        async with session.get(f"{url}/unknown") as answer:
            assert answer.status == 404
        address, proxy.address = proxy.address, None
        async with session.get(f"{url}/echo") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        proxy.address = ("127.0.0.1", 1)
        async with session.get(f"{url}/echo") as answer:
            assert answer.status == 502
        proxy.address = address
        async with session.get(f"{url}/echo") as answer:
            assert answer.status == 200


async def test_a_cut_answer_is_seen_as_cut() -> None:
    async with running() as (_, url), aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            async with session.get(f"{url}/cut") as answer:
                await answer.read()


async def test_stale_pooled_connection_is_replaced() -> None:
    async with running() as (proxy, url), aiohttp.ClientSession() as session:
        async with session.get(f"{url}/echo") as answer:
            assert answer.status == 200
        (pooled,) = [side for held in proxy._idle.values() for side, _ in held]

        async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.close()

        dead = await asyncio.start_server(closing, "127.0.0.1", 0)
        host, port = dead.sockets[0].getsockname()[:2]
        stale = await proxy.connect((host, port))
        stale.uses = 1
        pooled.close()
        assert proxy.address is not None
        proxy._idle[proxy.address].clear()
        proxy.give_back(proxy.address, stale)
        async with session.get(f"{url}/echo") as answer:
            assert answer.status == 200
        dead.close()
