"""Streams of pods through the API server: attach, and port-forward in WebSocket channel frames."""

import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import aiohttp
import pytest
from kubernetes.aio import client, config
from kubernetes.aio.stream import WsApiClient

from hack.devcluster.resources import PODS
from tests.support.cluster import Cluster, Space, pod, script

PORT, CLOSED = 18_437, 18_438
ECHO = f"""
import socketserver
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"got " + self.request.recv(100))
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("0.0.0.0", {PORT}), Echo).serve_forever()
"""
TICKS = "import time\nwhile True:\n print('tick', flush=True); time.sleep(0.1)"


Open = Callable[..., Awaitable[AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]]]


@pytest.fixture
async def stream(cluster: Cluster, space: Space) -> AsyncIterator[Open]:
    """Opens a stream of the pod `p`: `await stream("attach", stdout="true")` is a context."""
    settings = client.Configuration()
    await config.load_kube_config(str(cluster.kubeconfig), client_configuration=settings)
    token = settings.api_key.get("BearerToken", settings.api_key.get("authorization", ""))
    async with WsApiClient(settings) as inner:

        async def start(verb: str, **query: str) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
            url = f"{settings.host}/api/v1/namespaces/{space.name}/pods/p/{verb}"
            head = {"authorization": token} if token else {}
            opened: AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse] = await inner.request(
                "GET", url, query_params=list(query.items()), headers=head, _preload_content=False
            )
            return opened

        yield start


async def frame(socket: aiohttp.ClientWebSocketResponse) -> tuple[int, bytes]:
    """The next (channel, payload)."""
    data = await socket.receive_bytes(timeout=20)
    return data[0], data[1:]


async def test_attach_follows_the_output(space: Space, stream: Open) -> None:
    await space.create(PODS, pod("p", script(TICKS)))
    await space.until_ready("p")
    async with await stream("attach", stdout="true") as socket:
        seen = b""
        while seen.count(b"tick\n") < 3:
            channel, payload = await frame(socket)
            assert channel in (1, 2, 3)
            seen += payload if channel == 1 else b""


async def test_port_forward_carries_bytes_and_errors(space: Space, stream: Open) -> None:
    probe = {"tcpSocket": {"port": PORT}, "periodSeconds": 1}
    await space.create(PODS, pod("p", script(ECHO, readinessProbe=probe)))
    await space.until_ready("p")
    async with await stream("portforward", ports=f"{PORT},{CLOSED}") as socket:
        heads = [await frame(socket) for _ in range(4)]
        numbers = [PORT, PORT, CLOSED, CLOSED]
        assert sorted(heads) == [(at, struct.pack("<H", port)) for at, port in enumerate(numbers)]
        await socket.send_bytes(b"\x00hello")
        found: dict[int, bytes] = {}
        while not {0, 3} <= found.keys():
            channel, payload = await frame(socket)
            found[channel] = found.get(channel, b"") + payload
        assert found[0] == b"got hello"
        assert str(CLOSED).encode() in found[3]


@pytest.mark.parametrize("ports", [pytest.param("0", id="zero"), pytest.param("x", id="no number")])
async def test_a_port_that_is_none_is_refused(space: Space, stream: Open, ports: str) -> None:
    await space.create(PODS, pod("p", script(TICKS)))
    await space.until_ready("p")
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with await stream("portforward", ports=ports):
            pass
