"""UDP balancing: one upstream socket per client address, forgotten after a silence."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from hack.devcluster.proxy.endpoints import Address

IDLE_SECONDS = 60.0
_MOST_CLIENTS = 4096


class _Upstream(asyncio.DatagramProtocol):
    def __init__(self, reply: Callable[[bytes], None]) -> None:
        self._reply = reply

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        del addr
        self._reply(data)


class DatagramBalancer(asyncio.DatagramProtocol):
    """Listens for one Service port."""

    def __init__(self, pick: Callable[[str], Address | None]) -> None:
        self._pick = pick
        self._transport: asyncio.DatagramTransport | None = None
        self._flows: dict[tuple[Any, ...], asyncio.DatagramTransport] = {}
        self._timers: dict[tuple[Any, ...], asyncio.TimerHandle] = {}
        self._opening: dict[tuple[Any, ...], asyncio.Task[None]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        flow = self._flows.get(addr)
        if flow is not None:
            self._touch(addr)
            flow.sendto(data)
        elif addr not in self._opening and len(self._flows) < _MOST_CLIENTS:
            self._opening[addr] = asyncio.get_running_loop().create_task(self._open(addr, data))

    async def _open(self, client: tuple[Any, ...], first: bytes) -> None:
        try:
            target = self._pick(str(client[0]))
            if target is None:
                return
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Upstream(lambda data: self._answer(client, data)), remote_addr=target
            )
            self._flows[client] = transport
            transport.sendto(first)
            self._touch(client)
        except OSError:
            return
        finally:
            self._opening.pop(client, None)

    def _answer(self, client: tuple[Any, ...], data: bytes) -> None:
        if self._transport is not None:
            self._transport.sendto(data, client)
        self._touch(client)

    def _touch(self, client: tuple[Any, ...]) -> None:
        timer = self._timers.pop(client, None)
        if timer is not None:
            timer.cancel()
        self._timers[client] = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._drop, client)

    def _drop(self, client: tuple[Any, ...]) -> None:
        self._timers.pop(client, None)
        flow = self._flows.pop(client, None)
        if flow is not None:
            flow.close()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        for client in list(self._flows):
            timer = self._timers.pop(client, None)
            if timer is not None:
                timer.cancel()
            self._drop(client)
