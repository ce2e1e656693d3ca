"""Port-forward channels between real sockets."""

import asyncio
import struct

import aiohttp
import pytest
from aiohttp import web

from hack.devcluster.node.forward import ForwardSession, PortError, parse_ports


@pytest.mark.parametrize(("values", "ports"), [(["80"], [80]), (["80,443"], [80, 443]), (["80", "443"], [80, 443])])
def test_ports(values: list[str], ports: list[int]) -> None:
    assert parse_ports(values) == ports


@pytest.mark.parametrize("values", [[], ["x"], ["0"], ["70000"], ["80,"]])
def test_no_ports(values: list[str]) -> None:
    with pytest.raises(PortError):
        parse_ports(values)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while block := await reader.read(1024):
        writer.write(block.upper())
    writer.close()


async def test_data_and_errors_have_their_channels() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    closed = await asyncio.start_server(echo, "127.0.0.1", 0)
    refused = closed.sockets[0].getsockname()[1]
    closed.close()
    await closed.wait_closed()

    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await ForwardSession(socket, "127.0.0.1", [port, refused]).run()
        return socket

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://127.0.0.1:{runner.addresses[0][1]}/") as ws,
        ):
            await ws.send_bytes(b"\x00hello")
            frames: dict[int, bytes] = {}
            while b"HELLO" not in frames.get(0, b"") or len(frames.get(3, b"")) <= 2:
                block = await ws.receive_bytes(timeout=5)
                frames[block[0]] = frames.get(block[0], b"") + block[1:]
    finally:
        await runner.cleanup()
        server.close()
    assert frames[0] == struct.pack("<H", port) + b"HELLO"
    assert frames[1] == struct.pack("<H", port)
    assert frames[2] == struct.pack("<H", refused)
    assert frames[3].startswith(struct.pack("<H", refused) + b"cannot connect")
