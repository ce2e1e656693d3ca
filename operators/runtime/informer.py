"""Watches what the operators made: list once, then follow, and wake the owner of whatever changes.

The API server selects by owner label, so nobody else's pods and Services cross the wire or stay in memory; when an
object loses the label, the watch tells that it is gone. A burst is eleven children a stream, hence no framework in
between: kopf, which watches the custom resources, spends more on one event than the reconcile does on one child.
A watch that breaks goes on where it was; one that fell behind (410) lists again and finds what went meanwhile.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from operators.api import KINDS
from operators.api.base import API_VERSION
from operators.core.children import OWNER_LABEL
from operators.core.plan import Manifest, ObjectRef
from operators.runtime.cache import Cache
from operators.runtime.client import ApiError, KubeClient, collection

Wake = Callable[[tuple[str, str, str]], Awaitable[None]]
CHILD_KINDS = (
    ("v1", "ConfigMap"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("v1", "Pod"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("keda.sh/v1alpha1", "ScaledObject"),
    ("ray.io/v1", "RayService"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
)
POOL_KIND = "Pool"
OWNER_KINDS = {kind.kind_name.lower(): kind.kind_name for kind in KINDS} | {"pool": POOL_KIND}
PAGE = "500"
PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds between tries while the API server is away; the last one is repeated."""
ABSENT_SECONDS = 10.0
"""A kind that is not served, or that we may not list, is asked for again this often: it may be installed later."""
WATCH_SECONDS = (240, 360)
IDLE_SECONDS = 150.0
"""API servers send a bookmark a minute: a watch that is silent for longer hangs."""

logger = logging.getLogger(__name__)


class Informer:
    """Objects of one kind that carry our owner label, in one namespace or ("") in all."""

    def __init__(self, client: KubeClient, cache: Cache, wake: Wake, *, api_version: str, kind: str, namespace: str):
        self._client = client
        self._cache = cache
        self._wake = wake
        self._api_version = api_version
        self._kind = kind
        self._namespace = namespace
        self._path = collection(ObjectRef(api_version, kind, namespace, ""))
        self._version = ""
        cache.unlisted.add(self._path)

    async def run(self) -> None:
        """List and follow until cancelled."""
        failures = 0
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._follow()
                failures = 0
                pause = PAUSES[0]
            except ApiError as error:
                pause = self._pause_after(error, failures)
                failures += 1
                if error.status in (403, 404) and not self._version:
                    await self._replace([])
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))

    def _pause_after(self, error: ApiError, failures: int) -> float:
        """Seconds to wait; forgets where the watch was when it cannot be resumed there."""
        if error.status in (400, 403, 404, 410):
            self._version = ""
        if error.status == 404:
            return ABSENT_SECONDS
        if error.status == 403:
            logger.warning("not allowed to watch: %s", error, extra={"kind": self._kind})
            return ABSENT_SECONDS
        if failures:
            logger.warning("a watch is away: %s", error, extra={"kind": self._kind, "status": error.status})
        return PAUSES[min(failures, len(PAUSES) - 1)]

    async def _list(self) -> None:
        found: list[Manifest] = []
        token = ""
        while True:
            query = [("labelSelector", OWNER_LABEL), ("limit", PAGE), *([("continue", token)] if token else [])]
            page = await self._client.call("GET", self._path, query=query)
            found += page.get("items") or ()
            token = page["metadata"].get("continue") or ""
            if not token:
                break
        await self._replace(found)
        self._version = page["metadata"]["resourceVersion"]

    async def _replace(self, found: list[Manifest]) -> None:
        """The cache holds just these; wakes the owners of what came, changed or went."""
        before = self._cache.child_versions(self._kind, self._namespace)
        woken: list[tuple[str, str]] = []
        for item in found:
            item |= {"apiVersion": self._api_version, "kind": self._kind}
            metadata = item["metadata"]
            namespace, name = metadata.get("namespace", ""), metadata["name"]
            if before.pop((namespace, name), None) != metadata["resourceVersion"]:
                woken += [(namespace, owner) for owner in self._put(item)]
        for namespace, name in before:
            owner = self._cache.drop_child(self._kind, namespace, name)
            woken.append((namespace, owner))
        self._cache.unlisted.discard(self._path)
        for namespace, owner in dict.fromkeys(woken):
            await self._wake_owner(namespace, owner)

    async def _follow(self) -> None:
        """One watch, until the API server ends it."""
        seconds = str(random.randint(*WATCH_SECONDS))
        query = [("labelSelector", OWNER_LABEL), ("watch", "1"), ("allowWatchBookmarks", "true")]
        query += [("resourceVersion", self._version), ("timeoutSeconds", seconds)]
        events: AsyncGenerator[tuple[str, Manifest], None]
        async with aclosing(self._client.watch(self._path, query=query, idle_seconds=IDLE_SECONDS)) as events:
            async for what, body in events:
                if what != "BOOKMARK":
                    await self._see(what, body)
                self._version = body["metadata"]["resourceVersion"]

    async def _see(self, what: str, body: Manifest) -> None:
        metadata = body["metadata"]
        namespace = metadata.get("namespace", "")
        if what == "DELETED":
            owners = [self._cache.drop_child(self._kind, namespace, metadata["name"])]
        else:
            owners = self._put(body)
        for owner in owners:
            await self._wake_owner(namespace, owner)

    def _put(self, body: Manifest) -> list[str]:
        """Owners that this concerns: the present one, and the former when the label was moved."""
        owner = body["metadata"]["labels"][OWNER_LABEL]
        return list(dict.fromkeys([owner, self._cache.put_child(body, owner)]))

    async def _wake_owner(self, namespace: str, owner: str) -> None:
        kind, _, name = owner.partition(".")
        if kind in OWNER_KINDS:
            await self._wake((OWNER_KINDS[kind], namespace, name))


async def follow_children(client: KubeClient, cache: Cache, wake: Wake, *, namespaces: Sequence[str]) -> None:
    """Watch all kinds of children in these namespaces, or in all, until cancelled."""
    informers = [
        Informer(client, cache, wake, api_version=api_version, kind=kind, namespace=namespace)
        for api_version, kind in CHILD_KINDS
        for namespace in namespaces or ("",)
    ]
    async with asyncio.TaskGroup() as group:
        for informer in informers:
            group.create_task(informer.run())
        group.create_task(_index_of_nothing(client, cache, namespaces or ("",)))


async def _index_of_nothing(client: KubeClient, cache: Cache, namespaces: Sequence[str]) -> None:
    """Without custom resources kopf never says that it has seen them all; pools have to be looked after even so."""
    paths = [
        collection(ObjectRef(API_VERSION, kind.kind_name, namespace, "")) for kind in KINDS for namespace in namespaces
    ]
    while not cache.indexed:
        try:
            pages: list[dict[str, Any]] = [await client.call("GET", path, query=[("limit", "1")]) for path in paths]
        except ApiError as error:
            logger.warning("the custom resources cannot be listed: %s", error)
        else:
            if not any(page.get("items") for page in pages):
                cache.indexed = True
        await asyncio.sleep(PAUSES[-1])
