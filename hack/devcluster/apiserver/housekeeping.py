"""What upstream's controller manager does for the API itself: garbage collection by owner, namespaces' content, the
`default` account and root CA of a namespace, aggregated ClusterRoles, CRDs' serving, and the end of old Events.

Work is queued by the store's observer and done in its own turn of the loop, so a write is never slowed by its
consequences.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hack.devcluster.apiserver import crds
from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.ages import parse_time
from hack.devcluster.apiserver.calls import SYSTEM, Call
from hack.devcluster.apiserver.garbage import Garbage, call_of
from hack.devcluster.apiserver.kinds import Resource
from hack.devcluster.apiserver.quotas import COLLECTION as QUOTAS
from hack.devcluster.apiserver.quotas import Quotas
from hack.devcluster.apiserver.rbac import CLUSTER_ROLES, Rbac
from hack.devcluster.apiserver.rest import Rest, run_now
from hack.devcluster.apiserver.store import Event, Ref, Stored

log = logging.getLogger(__name__)
EVENT_TTL = timedelta(hours=1)
SWEEP_SECONDS = 60.0
_UNCOUNTED = frozenset({"events", "leases.coordination.k8s.io"})
Obj = dict[str, Any]


class Housekeeper:
    """Owner of the queue; `run` works it off."""

    def __init__(self, rest: Rest, rbac: Rbac, quotas: Quotas, *, ca: str, dropped: Callable[[str], None]) -> None:
        self._rest = rest
        self._store = rest.store
        self._rbac = rbac
        self._quotas = quotas
        self._garbage = Garbage(rest, self._push)
        self._ca = ca
        self._dropped = dropped
        self._queue: deque[Ref] = deque()
        self._queued: set[Ref] = set()
        self._wake = asyncio.Event()
        self._store.observers.append(self._observe)

    def _observe(self, collection: str, event: Event) -> None:
        stored = event.stored
        ref = (collection, stored.namespace, stored.name)
        if collection == crds.STORE_KEY:
            self._serve(event)
        if collection == CLUSTER_ROLES:
            self._push(("aggregate", "", ""))
        self._count(collection, stored.namespace)
        if event.type == "DELETED":
            for dependent in self._store.dependents.get(stored.uid, ()):
                self._push(dependent)
            for owner in stored.owners:
                if owner in self._store.uids:
                    self._push(self._store.uids[owner])
            if stored.namespace:
                self._push_terminating(stored.namespace)
            return
        if stored.owners or b'"deletionTimestamp"' in stored.raw or collection == "namespaces":
            self._push(ref)

    def _count(self, collection: str, namespace: str) -> None:
        quotas = self._store.collections.get(QUOTAS)
        if quotas is not None and namespace in quotas.by_namespace and collection not in _UNCOUNTED:
            self._push(("quota", namespace, ""))

    def _push_terminating(self, namespace: str) -> None:
        found = self._store.collection("namespaces").get("", namespace)
        if found is not None and found.fields.get("status.phase") == "Terminating":
            self._push(("namespaces", "", namespace))

    def _push(self, ref: Ref) -> None:
        if ref not in self._queued:
            self._queued.add(ref)
            self._queue.append(ref)
            self._wake.set()

    def _serve(self, event: Event) -> None:
        obj = event.stored.load()
        if event.type == "DELETED":
            self._rest.registry.drop(obj["spec"]["group"], obj["spec"]["names"]["plural"])
            self._dropped(event.stored.name)
        elif event.before is None or event.before.load()["spec"] != obj["spec"]:
            crds.register(self._rest.registry, obj)

    def start(self) -> None:
        """After a restore: serve the stored CRDs, look at everything once."""
        for stored in self._store.collection(crds.STORE_KEY).scan():
            crds.register(self._rest.registry, stored.load())
        for name, collection in list(self._store.collections.items()):
            for stored in collection.scan():
                if stored.owners or b'"deletionTimestamp"' in stored.raw or name == "namespaces":
                    self._push((name, stored.namespace, stored.name))

    def settle(self) -> None:
        """Work off what is queued now."""
        while self._queue:
            ref = self._queue.popleft()
            self._queued.discard(ref)
            try:
                self._process(ref)
            except err.ApiError as problem:
                log.info("housekeeping of %s: %s", "/".join(ref), problem.message)

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        sweep = loop.time() + SWEEP_SECONDS
        while True:
            try:
                async with asyncio.timeout(max(0.01, sweep - loop.time())):
                    await self._wake.wait()
            except TimeoutError:
                sweep = loop.time() + SWEEP_SECONDS
                self.expire_events()
            self._wake.clear()
            while self._queue:
                ref = self._queue.popleft()
                self._queued.discard(ref)
                try:
                    self._process(ref)
                except err.ApiError as problem:
                    log.info("housekeeping of %s: %s", "/".join(ref), problem.message)
                except Exception:
                    log.exception("housekeeping of %s failed", "/".join(ref))
                if len(self._queue) % 50 == 0:
                    await asyncio.sleep(0)

    def _process(self, ref: Ref) -> None:
        collection, namespace, name = ref
        if collection == "aggregate":
            self._aggregate()
            return
        if collection == "quota":
            self._quotas.settle(namespace)
            return
        stored = self._store.collection(collection).get(namespace, name)
        if stored is None:
            return
        resource = self._resource(collection)
        if resource is None:
            return
        if collection == "namespaces":
            self._namespace(resource, stored)
        elif collection == crds.STORE_KEY and b'"deletionTimestamp"' in stored.raw:
            self._crd_content(resource, stored)
        if stored.owners:
            self._garbage.owned(resource, stored)
        current = self._store.collection(collection).get(namespace, name)
        if current is not None and b'"deletionTimestamp"' in current.raw:
            self._garbage.terminating(resource, current)

    def _resource(self, collection: str) -> Resource | None:
        return next(
            (item for item in self._rest.registry.all() if item.store_key == collection and "list" in item.verbs), None
        )

    def _namespace(self, resource: Resource, stored: Stored) -> None:
        if stored.fields.get("status.phase") != "Terminating":
            self._furnish(stored)
            return
        left = 0
        for item in self._rest.registry.stored():
            if not item.namespaced:
                continue
            for child in list(self._store.collection(item.store_key).scan(stored.name)):
                _, gone = self._rest.remove(call_of(item, child), child, {"propagationPolicy": "Background"})
                left += not gone
        if left:
            return
        current = self._store.collection("namespaces").get("", stored.name)
        if current is None:
            return
        obj = current.load()
        obj["spec"] = {key: value for key, value in (obj.get("spec") or {}).items() if key != "finalizers"}
        self._garbage.write_or_end(resource, obj)

    def _furnish(self, stored: Stored) -> None:
        """The `default` ServiceAccount and the root CA of a namespace."""
        wanted: list[tuple[str, Obj]] = [
            ("serviceaccounts", {"metadata": {"name": "default"}}),
            ("configmaps", {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": self._ca}}),
        ]
        for plural, obj in wanted:
            resource = self._rest.registry.find("", "v1", plural)
            if (
                resource is not None
                and self._store.collection(plural).get(stored.name, obj["metadata"]["name"]) is None
            ):
                call = Call(SYSTEM, resource, namespace=stored.name, query={"fieldManager": "kube-controller-manager"})
                run_now(self._rest.create(call, self._rest.fit(call, obj)))

    def _crd_content(self, resource: Resource, stored: Stored) -> None:
        """Delete the custom resources of a definition that is going, then let it go."""
        spec = stored.load()["spec"]
        served = self._rest.registry.any_version(spec["group"], spec["names"]["plural"])
        left = 0
        if served is not None:
            for child in list(self._store.collection(served.store_key).scan()):
                _, gone = self._rest.remove(call_of(served, child), child, {})
                left += not gone
        if not left:
            obj = stored.load()
            if crds.FINALIZER in (obj["metadata"].get("finalizers") or ()):
                self._garbage.release(resource, obj, crds.FINALIZER)

    def _aggregate(self) -> None:
        for stored in list(self._store.collection(CLUSTER_ROLES).scan()):
            obj = stored.load()
            if obj.get("aggregationRule"):
                rules = self._rbac.aggregated(obj)
                if rules != (obj.get("rules") or []):
                    obj["rules"] = rules
                    self._store.put(CLUSTER_ROLES, obj)

    def expire_events(self) -> None:
        """Delete Events older than an hour."""
        limit = self._rest.now() - EVENT_TTL
        for stored in list(self._store.collection("events").scan()):
            obj = stored.load()
            last = parse_time(obj.get("lastTimestamp")) or parse_time(obj["metadata"].get("creationTimestamp"))
            if last is not None and last < limit:
                self._store.remove("events", stored)
