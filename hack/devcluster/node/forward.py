"""`pods/portforward` over WebSocket frames: channel 2i carries data of port i, channel 2i+1 its errors.

Each channel begins with the port's number, two bytes, the low one first. This is the protocol of the kubelet's
WebSocket server and of the Python client; kubectl tunnels SPDY through WebSocket instead, which is not served. Source:
pkg/kubelet/portforward/websocket.go. Trap avoided: a port that refuses must be told on its error channel, while the
other ports go on.
"""

import asyncio
import contextlib
import struct
from collections.abc import Sequence

from aiohttp import WSMsgType, web

_BLOCK = 32_768
_CONNECT_SECONDS = 5.0


class PortError(ValueError):
    """A port that is no port."""


def parse_ports(values: Sequence[str]) -> list[int]:
    """The query's `ports` (or `port`), repeated or with commas. Raises PortError."""
    found: list[int] = []
    for part in ",".join(values).split(","):
        if not part.isdigit() or not 0 < int(part) < 65_536:
            raise PortError(f"ports: {part!r} is not a port")
        found.append(int(part))
    return found


class ForwardSession:
    """One client's connections to ports of one pod."""

    def __init__(self, socket: web.WebSocketResponse, address: str, ports: Sequence[int]) -> None:
        self._socket = socket
        self._address = address
        self._ports = ports
        self._writers: dict[int, asyncio.StreamWriter] = {}

    async def run(self) -> None:
        """Until the client leaves or every port has closed."""
        for index, port in enumerate(self._ports):
            for channel in (2 * index, 2 * index + 1):
                await self._send(channel, struct.pack("<H", port))
        copies = [asyncio.create_task(self._copy(index, port)) for index, port in enumerate(self._ports)]
        reading = asyncio.create_task(self._from_client())
        every = asyncio.create_task(_all(copies))
        try:
            await asyncio.wait({reading, every}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reading, every, *copies):
                task.cancel()
            await asyncio.gather(reading, every, *copies, return_exceptions=True)
            for writer in self._writers.values():
                writer.close()

    async def _copy(self, index: int, port: int) -> None:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(self._address, port)
        except (OSError, TimeoutError) as error:
            await self._send(2 * index + 1, f"cannot connect to port {port} of the pod: {error}".encode())
            return
        self._writers[index] = writer
        while block := await reader.read(_BLOCK):
            await self._send(2 * index, block)

    async def _from_client(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY or not message.data:
                continue
            index, odd = divmod(message.data[0], 2)
            writer = await self._writer(index)
            if odd or writer is None:
                continue
            with contextlib.suppress(ConnectionError):
                writer.write(message.data[1:])
                await writer.drain()

    async def _writer(self, index: int) -> asyncio.StreamWriter | None:
        """The connection of a port, waited for when the client is quicker than the connect."""
        end = asyncio.get_running_loop().time() + _CONNECT_SECONDS
        while index < len(self._ports) and asyncio.get_running_loop().time() < end:
            if index in self._writers:
                return self._writers[index]
            await asyncio.sleep(0.01)
        return None

    async def _send(self, channel: int, payload: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            await self._socket.send_bytes(bytes([channel]) + payload)


async def _all(tasks: Sequence["asyncio.Task[None]"]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
