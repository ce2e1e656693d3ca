"""What a pod stands on: its account, its tokens, its volumes, and the launch plans made of them.

Trap avoided: a token for another audience must never stand in for the pod's own, nor the other way round; they are
kept by audience.
"""

import asyncio
import contextlib
import logging
from functools import partial
from pathlib import Path
from typing import Protocol

from hack.devcluster.client import ApiError
from hack.devcluster.node.account import TOKEN_SECONDS, TokenKind, request_token, wants_token, write_kubeconfig
from hack.devcluster.node.context import NodeContext, inherited_environment
from hack.devcluster.node.environment import Sources
from hack.devcluster.node.launch import LaunchPlan, Surroundings, links_enabled, plan_launch
from hack.devcluster.node.service_env import service_environment
from hack.devcluster.node.volumes import MountError, VolumeSources, needs_refresh, token_sources, volume_folder
from hack.devcluster.objects import Obj, key_of, namespace_of, spec_of, status_of

log = logging.getLogger(__name__)

_OWN: TokenKind = ("", TOKEN_SECONDS)


class Grounded(Protocol):
    """The pod's worker, as far as it is asked here."""

    pod: Obj
    address: str


class Ground:
    """Account, volumes and plans of one pod."""

    def __init__(self, worker: Grounded, context: NodeContext, root: Path) -> None:
        self.root = root
        self._worker = worker
        self._context = context
        self._kubeconfig: Path | None = None
        self._tokens: dict[TokenKind, str] = {}
        self._folders: dict[str, Path] = {}

    async def prepare(self) -> None:
        """Tokens and volumes. Raises ApiError, MountError."""
        pod = self._worker.pod
        if not self._tokens and await wants_token(self._context.client, pod):
            await self._renew(_OWN)
        for kind in token_sources(pod):
            if kind not in self._tokens:
                await self._renew(kind)
        self._mount()

    def refresh(self) -> None:
        """Follow changes of ConfigMaps and Secrets; a missing one keeps the last content."""
        if needs_refresh(self._worker.pod) and self._folders:
            with contextlib.suppress(MountError):
                self._mount()

    def _mount(self) -> None:
        sources = self._volume_sources()
        folders: dict[str, Path] = {}
        for volume in spec_of(self._worker.pod).get("volumes") or []:
            try:
                folders[volume["name"]] = volume_folder(self.view(), volume, self.root, sources)
            except OSError as error:
                raise MountError(f"volume {volume['name']!r}: {error}") from error
        self._folders = folders

    def _volume_sources(self) -> VolumeSources:
        context, namespace = self._context, namespace_of(self._worker.pod)
        return VolumeSources(
            config_map=context.config_map_lookup(namespace),
            secret=context.secret_lookup(namespace),
            claim_folder=partial(context.claim_folder, namespace),
            token=lambda kind: self._tokens.get(kind, "").encode(),
            capacity=context.capacity,
        )

    async def _renew(self, kind: TokenKind) -> None:
        client, pod = self._context.client, self._worker.pod
        self._tokens[kind] = await request_token(client, pod, kind)
        if kind == _OWN:
            self._kubeconfig = write_kubeconfig(
                self.root / "account",
                server=client.server,
                ca=client.ca,
                token=self._tokens[kind],
                namespace=namespace_of(pod),
            )

    async def keep_tokens_fresh(self) -> None:
        """Until cancelled: each token at half of its life."""
        while self._tokens:
            pause = min(seconds for _, seconds in self._tokens) / 2
            await asyncio.sleep(pause)
            for kind in list(self._tokens):
                try:
                    await self._renew(kind)
                except (ApiError, OSError) as error:
                    log.warning("a token of %s/%s was not renewed: %s", *key_of(self._worker.pod), error)
            self.refresh()

    def plan(self, container: Obj) -> LaunchPlan:
        """Launch plan of a container as things are now. Raises what plan_launch raises, and ImageError."""
        context, pod = self._context, self._worker.pod
        namespace = namespace_of(pod)
        around = Surroundings(
            inherited=inherited_environment(),
            services=service_environment(context.services.all(), namespace=namespace, links=links_enabled(pod)),
            marker=context.marker,
            address=self._worker.address,
            kubeconfig=self._kubeconfig,
            root=self.root,
        )
        sources = Sources(
            config_map=context.config_map_lookup(namespace),
            secret=context.secret_lookup(namespace),
            capacity=context.capacity,
        )
        image = context.images.find(str(container.get("image", "")))
        return plan_launch(self.view(), container, image=image, volumes=self._folders, sources=sources, around=around)

    def view(self) -> Obj:
        """The pod as its containers see it: with addresses that the API does not know yet."""
        pod = self._worker.pod
        status = {**status_of(pod), "podIP": self._worker.address, "hostIP": self._context.node_ip}
        return {**pod, "status": status}
