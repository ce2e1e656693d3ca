"""Puts the parts together and runs them: restore, bootstrap, serve, stop cleanly."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from hack.devcluster.apiserver import bootstrap, metricsapi, strategy, tls
from hack.devcluster.apiserver.admission import Admission
from hack.devcluster.apiserver.agentproxy import AgentProxy
from hack.devcluster.apiserver.allocation import ServiceAllocator
from hack.devcluster.apiserver.auth import Authenticator
from hack.devcluster.apiserver.calls import Call, User
from hack.devcluster.apiserver.escalation import Escalation
from hack.devcluster.apiserver.handlers import Handlers
from hack.devcluster.apiserver.housekeeping import Housekeeper
from hack.devcluster.apiserver.http import Shell, Target
from hack.devcluster.apiserver.journal import Journal
from hack.devcluster.apiserver.kinds import Registry
from hack.devcluster.apiserver.patching import Patching
from hack.devcluster.apiserver.plain import Plain
from hack.devcluster.apiserver.policies import Policies
from hack.devcluster.apiserver.quotas import Quotas
from hack.devcluster.apiserver.rbac import Attributes, Rbac
from hack.devcluster.apiserver.rest import Rest
from hack.devcluster.apiserver.reviews import Reviews
from hack.devcluster.apiserver.store import Store
from hack.devcluster.apiserver.subresources import Subresources
from hack.devcluster.apiserver.webhooks import Webhooks

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """The command line. `bind` must be a loopback address; port 0 takes a free one."""

    state: Path
    port: int
    bind: str
    kubeconfig: Path
    service_cidr: str


def first_address(cidr: str) -> str:
    """The address of the `kubernetes` Service, which the certificate has to name."""
    return str(ipaddress.ip_network(cidr)[1])


class ApiServer:
    """One running API server."""

    def __init__(self, options: Options) -> None:
        self._options = options
        options.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._journal = Journal(options.state / "state.db")
        self.registry = Registry()
        self.store = Store(selectable=self._selectable, journal=self._journal.write, version=self._journal.version())
        self.ca = tls.ensure(options.state, [options.bind, first_address(options.service_cidr)])
        self.authenticator = Authenticator(options.state, self.store)
        self.rbac = Rbac(self.store)
        self.rest = Rest(self.registry, self.store)
        Admission(self.rest, ServiceAllocator(self.store, options.service_cidr))
        self._webhooks = Webhooks(self.rest)
        self._policies = Policies(self.rest)
        self.rest.hooks.mutate = self._webhooks.mutate
        self.rest.hooks.confirm = self._confirm
        self.handlers = Handlers(self.rest, Patching(self.rest))
        Escalation(self.rest, self.rbac)
        quotas = Quotas(self.rest)
        self.handlers.groups[metricsapi.GROUP] = metricsapi.Metrics(self.rest).handle
        self.housekeeper = Housekeeper(self.rest, self.rbac, quotas, ca=self.ca, dropped=self.handlers.end_watches)
        Subresources(self.handlers, self.authenticator)
        Reviews(self.handlers, self.authenticator, self.rbac)
        self._agents = AgentProxy(self.handlers)
        self._runner: web.ServerRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.port = options.port

    def _selectable(self, collection: str, obj: Any) -> dict[str, str]:
        extra: tuple[str, ...] = ()
        resource = self.registry.of_kind(obj.get("apiVersion", ""), obj.get("kind", ""))
        if resource is not None and resource.crd is not None:
            extra = resource.crd.selectable
        return strategy.selectable(collection, obj, extra)

    async def _confirm(self, call: Call, obj: Any, old: Any) -> None:
        await self._policies.confirm(call, obj, old)
        await self._webhooks.confirm(call, obj, old)

    def _authorize(self, user: User, verb: str, target: Target) -> None:
        if user.master:
            return
        namespace = target.namespace
        if not target.group and target.plural == "namespaces" and target.name:
            namespace = target.name
        ask = Attributes(
            verb=verb,
            group=target.group,
            resource=target.plural,
            subresource=target.subresource,
            namespace=namespace,
            name=target.name,
        )
        self.rbac.check(user, ask)

    async def start(self) -> None:
        """Restore the state, listen, write the kubeconfig."""
        options = self._options
        for collection, raw in self._journal.rows():
            self.store.restore(collection, raw)
        self._journal.opened()
        address = f"{self._options.bind}:{self._options.port}"
        shell = Shell(
            self.registry,
            self.authenticator,
            authorize=self._authorize,
            authorize_path=self.rbac.check_path,
            resources=self.handlers.handle,
            plain=Plain(self.registry, address=address).handle,
        )
        server = web.Server(shell.handle, access_log=None, keepalive_timeout=600, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner,
            self._options.bind,
            self._options.port,
            ssl_context=tls.context(self._options.state),
            reuse_address=True,
        )
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.housekeeper.start()
        bootstrap.ensure(self.rest, self.registry, address=options.bind, port=self.port)
        self.housekeeper.settle()
        self._tasks.append(asyncio.create_task(self.housekeeper.run(), name="housekeeping"))
        self._tasks.append(asyncio.create_task(self._journal.run(), name="journal"))
        self.write_kubeconfig()

    def write_kubeconfig(self) -> None:
        """Atomically, mode 0600: a reader sees a whole file or none."""
        ca = base64.b64encode(self.ca.encode()).decode()
        cluster = {"server": f"https://{self._options.bind}:{self.port}", "certificate-authority-data": ca}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "haat", "cluster": cluster}],
            "users": [{"name": "haat-admin", "user": {"token": self.authenticator.admin_token}}],
            "contexts": [
                {"name": "haat", "context": {"cluster": "haat", "user": "haat-admin", "namespace": "default"}}
            ],
            "current-context": "haat",
        }
        target = self._options.kubeconfig
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}")
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(config, file, indent=1)
        part.replace(target)

    async def stop(self) -> None:
        """End watches, finish requests, write the rest of the journal."""
        self.handlers.shutdown()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._agents.close()
        await self._webhooks.close()
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._journal.close()
