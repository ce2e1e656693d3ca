"""The Service balancer: a listener on clusterIP:port (and on the node port) for each Service port.

Trap avoided: closing a listener must not cut the connections it accepted; they end with their pods.
"""

import asyncio
import contextlib
import errno
import logging
from collections.abc import Callable
from dataclasses import dataclass

from hack.devcluster.client import ApiClient, ApiError
from hack.devcluster.events import EventRecorder
from hack.devcluster.informer import Informer
from hack.devcluster.objects import Key, Obj, key_of, name_of, namespace_of, spec_of, status_of, uid_of
from hack.devcluster.proxy.acceptor import Acceptor
from hack.devcluster.proxy.affinity import Affinity, affinity_seconds
from hack.devcluster.proxy.datagrams import DatagramBalancer
from hack.devcluster.proxy.endpoints import Address, Directory, ServicePort
from hack.devcluster.proxy.splice import Pipe
from hack.devcluster.resources import SERVICES
from hack.devcluster.workqueue import WorkQueue

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 3.0
_TRIES = 3
_RETRY_BIND = 5.0


@dataclass(frozen=True, slots=True)
class Listener:
    """One socket that the proxy must hold open."""

    address: str
    number: int
    protocol: str
    target: ServicePort


def wanted_listeners(service: Obj, *, node_bind: str) -> set[Listener]:
    """The listeners of a Service; headless and ExternalName Services have none."""
    spec = spec_of(service)
    address, kind = spec.get("clusterIP"), spec.get("type") or "ClusterIP"
    if not address or address == "None" or kind == "ExternalName":
        return set()
    found: set[Listener] = set()
    for port in spec.get("ports") or []:
        target = ServicePort(namespace_of(service), name_of(service), port.get("name") or "")
        protocol = port.get("protocol") or "TCP"
        found.add(Listener(address, int(port["port"]), protocol, target))
        if kind in ("NodePort", "LoadBalancer") and port.get("nodePort"):
            found.add(Listener(node_bind, int(port["nodePort"]), protocol, target))
        if kind == "LoadBalancer":
            found.add(Listener(node_bind, int(port["port"]), protocol, target))
    return found


class ServiceProxy:
    """Holds the listeners of all Services."""

    def __init__(
        self, client: ApiClient, events: EventRecorder, services: Informer, directory: Directory, *, node_bind: str
    ) -> None:
        self._client = client
        self._events = events
        self._services = services
        self._affinity = Affinity(directory)
        self._node_bind = node_bind
        self._queue: WorkQueue[Key] = WorkQueue()
        self._open: dict[Key, dict[Listener, Callable[[], None]]] = {}
        self._joins: set[asyncio.Task[None]] = set()
        services.on_change(self._on_service)

    def _on_service(self, old: Obj | None, new: Obj | None) -> None:
        self._queue.add(key_of(new or old or {}))

    async def run(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._sync(key)
            except Exception:
                # The edge of one Service: a malformed one must not stop the others.
                log.exception("Service %s/%s", *key)
            finally:
                self._queue.done(key)

    async def _sync(self, key: Key) -> None:
        service = self._services.get(key)
        wanted = wanted_listeners(service, node_bind=self._node_bind) if service else set()
        held = self._open.setdefault(key, {})
        for listener in list(held):
            if listener not in wanted:
                held.pop(listener)()
        for listener in wanted - set(held):
            try:
                held[listener] = await self._listen(listener)
            except OSError as error:
                self._report(service, listener, error)
                if error.errno != errno.EACCES:
                    self._queue.add_after(key, _RETRY_BIND)
        if not held and service is None:
            del self._open[key]
        if service is not None:
            await self._publish(service)

    def _report(self, service: Obj | None, listener: Listener, error: OSError) -> None:
        advice = ""
        if error.errno == errno.EACCES:
            advice = "; ports below 1024 need net.ipv4.ip_unprivileged_port_start=0 or a higher Service port"
        elif error.errno == errno.EADDRINUSE:
            advice = "; another process holds it"
        text = f"cannot listen on {listener.address}:{listener.number}/{listener.protocol}: {error.strerror}{advice}"
        log.warning("Service %s/%s %s", listener.target.namespace, listener.target.service, text)
        if service is not None:
            self._events.warning(service, SERVICES, "PortUnavailable", text)

    async def _listen(self, listener: Listener) -> Callable[[], None]:
        """Open a listener; returns what closes it. Raises OSError."""
        loop = asyncio.get_running_loop()
        if listener.protocol == "UDP":
            transport, _ = await loop.create_datagram_endpoint(
                lambda: DatagramBalancer(lambda client: self._pick(listener.target, client)),
                local_addr=(listener.address, listener.number),
            )
            return transport.close
        acceptor = Acceptor(
            lambda: _Front(lambda front: self._accept(front, listener.target)), listener.address, listener.number
        )
        return acceptor.close

    def _pick(self, target: ServicePort, client: str, *, anew: bool = False) -> Address | None:
        seconds = affinity_seconds(self._services.get((target.namespace, target.service)))
        return self._affinity.pick(target, client, seconds, anew=anew)

    def _accept(self, front: "_Front", target: ServicePort) -> None:
        task = asyncio.get_running_loop().create_task(self._join(front, target))
        self._joins.add(task)
        task.add_done_callback(self._joins.discard)

    async def _join(self, front: "_Front", target: ServicePort) -> None:
        """Connect to a ready pod; another one when the first refuses."""
        loop = asyncio.get_running_loop()
        for attempt in range(_TRIES):
            address = self._pick(target, front.client, anew=attempt > 0)
            if address is None:
                break
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    _, back = await loop.create_connection(Pipe, *address)
            except (OSError, TimeoutError):
                continue
            if front.transport is None:
                back.close()
            else:
                front.join(back)
            return
        if front.transport is not None:
            front.transport.abort()

    async def _publish(self, service: Obj) -> None:
        """A LoadBalancer's address is this machine; one that is none any more loses it."""
        kind = spec_of(service).get("type")
        if kind == "ExternalName":
            text = "501 Not Implemented: an ExternalName is an alias in the cluster's DNS, and this cluster has no DNS"
            self._events.warning(service, SERVICES, "NotImplemented", text)
        wanted = [{"ip": self._node_bind}] if kind == "LoadBalancer" else None
        if (status_of(service).get("loadBalancer") or {}).get("ingress") == wanted:
            return
        body: Obj = {"metadata": {"uid": uid_of(service)}, "status": {"loadBalancer": {"ingress": wanted}}}
        with contextlib.suppress(ApiError):
            await self._client.patch(SERVICES, key_of(service), body, subresource="status")

    def close(self) -> None:
        for held in self._open.values():
            for close in held.values():
                close()
        self._open.clear()


class _Front(Pipe):
    """The accepted side; asks for its other half as soon as it is there."""

    def __init__(self, accepted: Callable[["_Front"], None]) -> None:
        super().__init__()
        self.client = ""
        """The client's address."""
        self._accepted = accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.client = str(peer[0]) if peer else ""
        self._accepted(self)
