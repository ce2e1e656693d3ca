"""What all controllers share: caches, a work queue, workers, and writes that keep the caches fresh."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import ClassVar

from hack.devcluster.client import ApiClient, ApiError, Conflict, NotFound
from hack.devcluster.events import EventRecorder
from hack.devcluster.informer import Informer
from hack.devcluster.objects import (
    Key,
    Obj,
    controller_of,
    is_deleting,
    key_of,
    labels_of,
    matches_selector,
    meta,
    namespace_of,
    owned_by,
    owner_reference,
    spec_of,
    status_of,
    uid_of,
)
from hack.devcluster.resources import PODS, Resource
from hack.devcluster.workqueue import WorkQueue

log = logging.getLogger(__name__)


class Caches:
    """One informer per kind, shared by everything in the process."""

    def __init__(self, client: ApiClient) -> None:
        self.client = client
        self._informers: dict[Resource, Informer] = {}

    def of(self, resource: Resource) -> Informer:
        found = self._informers.get(resource)
        if found is None:
            found = Informer(self.client, resource)
            self._informers[resource] = found
        return found

    def all(self) -> list[Informer]:
        return list(self._informers.values())


class Controller:
    """Level-triggered: `reconcile` gets a key, looks at the caches, acts, and may ask to be called again later."""

    kind: ClassVar[Resource]
    workers: ClassVar[int] = 2

    def __init__(self, caches: Caches, events: EventRecorder, clock: Callable[[], float] = time.time) -> None:
        self.caches = caches
        self.client = caches.client
        self.events = events
        self.clock = clock
        self.queue: WorkQueue[Key] = WorkQueue()
        self.objects = caches.of(self.kind)
        self.objects.on_change(self._on_own)
        self.subscribe()

    def subscribe(self) -> None:
        """Register for further kinds; the default has none."""

    async def reconcile(self, obj: Obj) -> float | None:
        """Bring the world nearer to the object's spec; seconds until it wants another look, or None."""
        raise NotImplementedError

    def _on_own(self, old: Obj | None, new: Obj | None) -> None:
        del old
        if new is not None:
            self.queue.add(key_of(new))

    def enqueue_owner(self, old: Obj | None, new: Obj | None) -> None:
        """Handler for children: wake the controller that owns them, before and after a change."""
        for child in (old, new):
            reference = controller_of(child) if child else None
            if child and reference and reference.get("kind") == self.kind.kind:
                self.queue.add((namespace_of(child), str(reference["name"])))

    def enqueue_by_selector(self, old: Obj | None, new: Obj | None) -> None:
        """Handler for orphans: wake whoever might adopt them."""
        for child in (old, new):
            if child and controller_of(child) is None:
                for owner in self.objects.in_namespace(namespace_of(child)):
                    if matches_selector(spec_of(owner).get("selector"), labels_of(child)):
                        self.queue.add(key_of(owner))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self.workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            try:
                await self._process(key)
            finally:
                self.queue.done(key)

    async def _process(self, key: Key) -> None:
        obj = self.objects.get(key)
        if obj is None:
            self.queue.succeeded(key)
            return
        try:
            again = await self.reconcile(obj)
        except (Conflict, NotFound):
            # The cache was behind; the event that brings it up to date is on its way.
            self.queue.retry(key)
        except ApiError as error:
            # A controller always races with the end of a namespace.
            level = logging.DEBUG if "being terminated" in error.message else logging.WARNING
            log.log(level, "%s %s/%s: %s", self.kind.kind, *key, error)
            self.queue.retry(key)
        except Exception:
            # The edge of one object: a malformed one must not stop the others.
            log.exception("%s %s/%s failed", self.kind.kind, *key)
            self.queue.retry(key)
        else:
            self.queue.succeeded(key)
            if again is not None:
                self.queue.add_after(key, again)

    # Reads

    def children(self, owner: Obj, resource: Resource) -> list[Obj]:
        return [child for child in self.caches.of(resource).in_namespace(namespace_of(owner)) if owned_by(child, owner)]

    async def claim(self, owner: Obj, resource: Resource) -> list[Obj]:
        """Children by owner reference; matching orphans are adopted, children that no longer match are released."""
        selector, claimed = spec_of(owner).get("selector"), []
        for child in self.caches.of(resource).in_namespace(namespace_of(owner)):
            matching = matches_selector(selector, labels_of(child))
            if owned_by(child, owner):
                if matching or is_deleting(child):
                    claimed.append(child)
                elif not is_deleting(owner):
                    await self._set_owners(child, resource, _without(child, owner))
            elif matching and controller_of(child) is None and not is_deleting(child) and not is_deleting(owner):
                references = [*(meta(child).get("ownerReferences") or []), owner_reference(owner, self.kind)]
                claimed.append(await self._set_owners(child, resource, references))
        return claimed

    async def _set_owners(self, child: Obj, resource: Resource, references: Iterable[Obj]) -> Obj:
        body: Obj = {"metadata": {"uid": uid_of(child), "ownerReferences": list(references)}}
        return self.caches.of(resource).observe(await self.client.patch(resource, key_of(child), body))

    # Writes

    async def create(self, resource: Resource, obj: Obj) -> Obj:
        return self.caches.of(resource).observe(await self.client.create(resource, obj))

    async def patch(self, resource: Resource, obj: Obj, body: Obj, *, subresource: str = "") -> Obj:
        guarded = {**body, "metadata": {**(body.get("metadata") or {}), "uid": uid_of(obj)}}
        answer = await self.client.patch(resource, key_of(obj), guarded, subresource=subresource)
        return self.caches.of(resource).observe(answer)

    async def delete(
        self, resource: Resource, obj: Obj, *, policy: str = "Background", grace: int | None = None
    ) -> None:
        try:
            answer = await self.client.delete(resource, key_of(obj), uid=uid_of(obj), policy=policy, grace=grace)
        except NotFound:
            self.caches.of(resource).forget(obj)
            return
        if uid_of(answer) == uid_of(obj) and is_deleting(answer):
            self.caches.of(resource).observe(answer)
        elif resource is not PODS:
            self.caches.of(resource).forget(obj)

    async def write_status(self, obj: Obj, status: Obj) -> None:
        """Patch the status when a field differs; null removes a field."""
        current = status_of(obj)
        changed = {key: value for key, value in status.items() if current.get(key) != value}
        if changed:
            await self.patch(self.kind, obj, {"status": changed}, subresource="status")


def _without(child: Obj, owner: Obj) -> list[Obj]:
    return [entry for entry in meta(child).get("ownerReferences") or [] if entry.get("uid") != uid_of(owner)]
