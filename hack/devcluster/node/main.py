"""One process for controllers, agent and proxies: start order, signals, stop order.

Trap avoided: nothing may act on half-filled caches, or it would delete and create what it does not see yet;
everything waits for the first list of each kind.
"""

import asyncio
import fcntl
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from hack.devcluster.client import ApiClient, ApiError
from hack.devcluster.controllers import registry
from hack.devcluster.controllers.base import Caches
from hack.devcluster.events import EventRecorder
from hack.devcluster.images.shims import write_shims
from hack.devcluster.images.table import default_table
from hack.devcluster.node.addresses import KUBELET_PORT, AddressPool, node_address, slice_order
from hack.devcluster.node.agent import Agent, machine_capacity
from hack.devcluster.node.context import NODE_NAME, NodeContext, cluster_marker
from hack.devcluster.node.logs import LogTicker
from hack.devcluster.node.process import Reaper, kill_strays
from hack.devcluster.node.scheduler import Scheduler
from hack.devcluster.node.server import build_app
from hack.devcluster.proxy.endpoints import Directory
from hack.devcluster.proxy.ingress import IngressProxy
from hack.devcluster.proxy.services import ServiceProxy
from hack.devcluster.resources import (
    CONFIG_MAPS,
    ENDPOINT_SLICES,
    INGRESSES,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    SECRETS,
    SERVICES,
)

log = logging.getLogger(__name__)

_API_PATIENCE = 30.0


class StartError(Exception):
    """The process cannot do its work; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Command line."""

    kubeconfig: Path
    state_dir: Path
    checkout: Path
    ingress_port: int
    ingress_bind: str
    node_bind: str


def lock_state(state_dir: Path) -> int:
    """Hold the state folder for this process. Raises StartError when another one has it."""
    state_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(state_dir / "node.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StartError(f"state folder {state_dir} is in use by another node agent") from error
    return descriptor


def claim_slice(state_dir: Path) -> tuple[socket.socket, int]:
    """The first address slice whose own address is free; holding the socket is the lock. Raises StartError."""
    for number in slice_order(str(state_dir.resolve())):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((node_address(number), KUBELET_PORT))
            sock.listen(128)
        except OSError:
            sock.close()
            continue
        sock.setblocking(False)
        return sock, number
    raise StartError("no slice of 127.64.0.0/11 is free")


async def run(options: Options) -> None:
    """Run until SIGTERM or SIGINT, then stop all pods. Raises StartError."""
    lock = lock_state(options.state_dir)
    marker = cluster_marker(options.state_dir)
    stray = await kill_strays(marker)
    if stray:
        log.info("killed %d processes of an earlier life", stray)
    reaper = Reaper(marker)
    try:
        async with ApiClient.from_kubeconfig(options.kubeconfig) as client:
            await _wait_for_api(client)
            await _Node(options, client, marker).run()
    finally:
        await reaper.close()
        os.close(lock)


async def _wait_for_api(client: ApiClient) -> None:
    end = time.monotonic() + _API_PATIENCE
    while True:
        try:
            await client.list(PODS, params={"limit": "1"})
            return
        except ApiError as error:
            if time.monotonic() > end:
                raise StartError(f"the API server does not answer: {error}") from error
            await asyncio.sleep(0.1)


class _Node:
    """Everything of one life of the process."""

    def __init__(self, options: Options, client: ApiClient, marker: str) -> None:
        self._options = options
        self._client = client
        self._marker = marker
        self._events = EventRecorder(client, component="haat-node", host=NODE_NAME)
        self._caches = Caches(client)
        self._stop = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        sock, slice_number = claim_slice(self._options.state_dir)
        context = self._context(slice_number)
        agent = Agent(context)
        await registry.prepare(self._client)
        controllers = registry.build(self._caches, self._events, state_dir=self._options.state_dir)
        directory = Directory()
        self._caches.of(ENDPOINT_SLICES).on_change(directory.on_slice)
        services = ServiceProxy(
            self._client, self._events, self._caches.of(SERVICES), directory, node_bind=self._options.node_bind
        )
        ingress = IngressProxy(
            self._client, self._caches.of(INGRESSES), self._caches.of(SERVICES), directory, self._options.ingress_bind
        )
        scheduler = Scheduler(
            context,
            nodes=self._caches.of(NODES),
            namespaces=self._caches.of(NAMESPACES),
            budgets=self._caches.of(POD_DISRUPTION_BUDGETS),
        )
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(informer.run()) for informer in self._caches.all()]
            runner = await self._ready(agent, ingress, sock)
            jobs: list[Coroutine[Any, Any, None]] = [
                *(controller.run() for controller in controllers),
                scheduler.run(),
                services.run(),
                ingress.run(),
                agent.heartbeat(),
                agent.watch_limits(),
                context.logs.run(),
            ]
            tasks += [group.create_task(job) for job in jobs]
            gc.collect()
            gc.freeze()
            log.info("node %s is ready on %s", NODE_NAME, context.node_ip)
            await self._stop.wait()
            services.close()
            await agent.stop()
            await ingress.close()
            for task in tasks:
                task.cancel()
        await runner.cleanup()

    async def _ready(self, agent: Agent, ingress: IngressProxy, sock: socket.socket) -> web.AppRunner:
        synced = asyncio.gather(*(informer.synced.wait() for informer in self._caches.all()))
        try:
            await asyncio.wait_for(synced, _API_PATIENCE)
        except TimeoutError as error:
            missing = [entry.resource.plural for entry in self._caches.all() if not entry.synced.is_set()]
            raise StartError(f"the API server does not list {', '.join(missing)}") from error
        runner = web.AppRunner(build_app(agent), access_log=None, shutdown_timeout=2.0, handler_cancellation=True)
        await runner.setup()
        await web.SockSite(runner, sock).start()
        await agent.register()
        ingress.listen(self._options.ingress_port)
        agent.attach()
        return runner

    def _context(self, slice_number: int) -> NodeContext:
        state_dir = self._options.state_dir.resolve()
        shims = state_dir / "shims"
        write_shims(shims)
        return NodeContext(
            client=self._client,
            events=self._events,
            pods=self._caches.of(PODS),
            services=self._caches.of(SERVICES),
            config_maps=self._caches.of(CONFIG_MAPS),
            secrets=self._caches.of(SECRETS),
            claims=self._caches.of(PERSISTENT_VOLUME_CLAIMS),
            images=default_table(self._options.checkout.resolve(), shims),
            addresses=AddressPool(slice_number),
            logs=LogTicker(),
            state_dir=state_dir,
            node_ip=node_address(slice_number),
            marker=self._marker,
            capacity=machine_capacity(),
        )
