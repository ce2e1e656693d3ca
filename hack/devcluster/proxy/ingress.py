"""The Ingress proxy: one HTTP port, raw protocols on both sides.

A request costs one parse of its head and one of the response's; bodies, LL-HLS parts and WebSocket frames pass as
bytes. Trap avoided: a general client library between two sockets costs ten times as much, which is the whole core at
a few hundred viewers.
"""

import asyncio
import contextlib
import logging
from collections import deque

from hack.devcluster.client import ApiClient, ApiError, NotFound
from hack.devcluster.informer import Informer
from hack.devcluster.objects import Obj, key_of, status_of, uid_of
from hack.devcluster.proxy.acceptor import Acceptor
from hack.devcluster.proxy.connection import ClientSide
from hack.devcluster.proxy.endpoints import Address, Directory, ServicePort
from hack.devcluster.proxy.relay import Relay
from hack.devcluster.proxy.routes import RouteTable, build_routes, is_ours
from hack.devcluster.proxy.upstream import PodSide
from hack.devcluster.resources import INGRESSES

log = logging.getLogger(__name__)

_SWEEP = 2.0
_POOL = 1024
_POOL_IDLE = 10.0
_CONNECT_SECONDS = 3.0


class IngressProxy:
    """Routes, connection pool and listener."""

    def __init__(
        self, client: ApiClient, ingresses: Informer, services: Informer, directory: Directory, bind: str
    ) -> None:
        self._client = client
        self._ingresses = ingresses
        self._services = services
        self._directory = directory
        self._bind = bind
        self._table: RouteTable | None = None
        self._server: Acceptor | None = None
        self._idle: dict[Address, deque[tuple[PodSide, float]]] = {}
        self._unpublished: asyncio.Queue[Obj] = asyncio.Queue()
        self.clients: set[Relay] = set()
        ingresses.on_change(self._on_ingress)
        services.on_change(self._on_service)

    def _on_ingress(self, old: Obj | None, new: Obj | None) -> None:
        del old
        self._table = None
        if new is not None and is_ours(new):
            self._unpublished.put_nowait(new)

    def _on_service(self, old: Obj | None, new: Obj | None) -> None:
        if old is None or new is None or old.get("spec") != new.get("spec"):
            self._table = None

    # What connections ask

    def route(self, host: str, path: str) -> tuple[bool, ServicePort | None]:
        if self._table is None:
            self._table = build_routes(
                self._ingresses.all(), lambda namespace, name: self._services.get((namespace, name))
            )
        return self._table.match(host, path)

    def pick(self, target: ServicePort) -> Address | None:
        return self._directory.pick(target)

    def reuse(self, address: Address) -> PodSide | None:
        """A live idle connection."""
        held = self._idle.get(address)
        while held:
            found, _ = held.pop()
            if found.usable:
                return found
        return None

    async def connect(self, address: Address) -> PodSide:
        """A new connection. Raises OSError or TimeoutError."""
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, side = await asyncio.get_running_loop().create_connection(PodSide, *address)
        return side

    def give_back(self, address: Address, side: PodSide) -> None:
        held = self._idle.setdefault(address, deque())
        if len(held) >= _POOL or not side.usable:
            side.close()
            return
        held.append((side, asyncio.get_running_loop().time()))

    # Life

    def listen(self, port: int) -> None:
        """Raises OSError when the port is taken."""
        self._server = Acceptor(lambda: ClientSide(self), self._bind, port)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweep())
            group.create_task(self._publish())

    async def _sweep(self) -> None:
        """Time-outs by one walk instead of a timer per request."""
        while True:
            await asyncio.sleep(_SWEEP)
            now = asyncio.get_running_loop().time()
            for client in tuple(self.clients):
                client.check_deadline(now)
            for address, held in list(self._idle.items()):
                while held and (now - held[0][1] > _POOL_IDLE or not held[0][0].usable):
                    held.popleft()[0].close()
                if not held:
                    del self._idle[address]

    async def _publish(self) -> None:
        """status.loadBalancer of each Ingress."""
        wanted = {"ingress": [{"ip": self._bind}]}
        while True:
            ingress = await self._unpublished.get()
            if (status_of(ingress).get("loadBalancer") or {}) == wanted:
                continue
            body: Obj = {"metadata": {"uid": uid_of(ingress)}, "status": {"loadBalancer": wanted}}
            try:
                await self._client.patch(INGRESSES, key_of(ingress), body, subresource="status")
            except NotFound:
                continue
            except ApiError as error:
                log.warning("status of Ingress %s/%s: %s", *key_of(ingress), error)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for client in tuple(self.clients):
            client.abort()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
