"""The verbs of the API on stored objects: read, decide, write.

The order of work is upstream's: decode and fit, prepare (what the endpoint may change), defaults, managedFields,
mutating admission, validation, validating admission, then the write. A write that changes nothing is no write: the
resource version stays. The verbs are coroutines because webhooks are asked in between; without a webhook they never
wait, so a read and the write that depends on it stay one step of the loop. After a wait the object is looked at again.
"""

from __future__ import annotations

import contextlib
import random
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from hack.devcluster.apiserver import deletion, eventapi, fitting, managed, strategy, writes
from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.calls import SYSTEM, Call
from hack.devcluster.apiserver.conform import format_time
from hack.devcluster.apiserver.defaults import apply_defaults
from hack.devcluster.apiserver.kinds import Registry, Resource
from hack.devcluster.apiserver.names import check_metadata
from hack.devcluster.apiserver.store import Store, Stored, encode

Obj = dict[str, Any]
T = TypeVar("T")
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


class Stale(err.ApiError):
    """The object changed while a webhook was asked: a patch is tried again, a client with a version sees 409."""

    def __init__(self, call: Call) -> None:
        found = err.conflict(call.resource.plural, call.resource.group, call.name)
        super().__init__(found.code, found.reason, found.message, details=found.details)


def run_now(work: Coroutine[Any, Any, T]) -> T:
    """The result of a verb that asks no webhook, as those of the system user: it never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError("the work would have waited")


@dataclass(slots=True)
class Hooks:
    """What other modules add to a write: change or refuse it, find causes against it, forbid a deletion."""

    admit: list[Callable[[Call, Obj, Obj | None], None]] = field(default_factory=list)
    validate: list[Callable[[Call, Obj, Obj | None], list[err.Cause]]] = field(default_factory=list)
    deleting: list[Callable[[Call, Stored], None]] = field(default_factory=list)
    last: list[Callable[[Call, Obj, Obj | None], None]] = field(default_factory=list)
    mutate: Callable[[Call, Obj | None, Obj | None], Awaitable[Any]] | None = None
    confirm: Callable[[Call, Obj | None, Obj | None], Awaitable[None]] | None = None


class Rest:
    """Create, update and delete for every kind. Results are `Stored`; a dry run gives one that was never stored."""

    def __init__(self, registry: Registry, store: Store, *, now: Callable[[], datetime] | None = None) -> None:
        self.registry = registry
        self.store = store
        self.hooks = Hooks()
        self.now = now or (lambda: datetime.now(UTC))

    def stamp(self) -> str:
        """The present time as metadata writes it."""
        return format_time(self.now())

    def find(self, resource: Resource, namespace: str, name: str) -> Stored:
        """The stored object, or 404."""
        stored = self.store.collection(resource.store_key).get(namespace, name)
        if stored is None:
            raise err.not_found(resource.plural, resource.group, name)
        return stored

    def view(self, resource: Resource, stored: Stored) -> Obj:
        """A copy of the object in the version of `resource`."""
        obj = stored.load()
        if resource.definition == "EventsV1Event":
            return eventapi.from_core(obj)
        obj["apiVersion"] = resource.api_version
        return obj

    def fit(self, call: Call, obj: Any) -> Obj:
        """Check head and types of a body; unknown fields are dropped, reported or refused as asked."""
        return fitting.fit(self.registry, call, obj)

    def conformed(self, call: Call, obj: Obj, unknown: list[str], *, keep_empty: bool = False) -> Obj:
        """The object with the types of its kind, in place; 400 for a wrong type."""
        return fitting.conformed(self.registry, call, obj, unknown, keep_empty=keep_empty)

    async def create(self, call: Call, obj: Obj, *, entries: list[Obj] | None = None) -> Stored:
        """Store a new, fitted object. `entries` are the managedFields of a server-side apply."""
        resource = call.resource
        meta = obj["metadata"]
        self._place(call, meta)
        sent = meta.pop("managedFields", None)
        if meta.get("resourceVersion"):
            raise err.ApiError(500, "", "resourceVersion should not be set on objects to be created")
        meta["uid"] = str(uuid.uuid4())
        meta["creationTimestamp"] = self.stamp()
        strategy.prepare_create(resource, obj)
        obj = self._default(call, obj)
        if entries is not None:
            meta["managedFields"] = entries
        else:
            self._own(call, obj, None, sent)
        obj = await self._admit(call, obj, None)
        self._validate(call, obj, None)
        await self._review(call, obj, None)
        if self.store.collection(resource.store_key).get(meta.get("namespace", ""), meta["name"]) is not None:
            raise err.already_exists(resource.plural, resource.group, meta["name"])
        return self._commit(call, obj)

    async def _admit(self, call: Call, obj: Obj, old: Obj | None) -> Obj:
        """Mutating admission: the server's own, then webhooks."""
        for admit in self.hooks.admit:
            admit(call, obj, old)
        if self.hooks.mutate is not None and call.user is not SYSTEM:
            obj = await self.hooks.mutate(call, obj, old)
        return obj

    def readmit(self, call: Call, obj: Obj, old: Obj | None) -> Obj:
        """An object that a webhook changed: types, defaults and the server's own admission once more."""
        obj = self._default(call, self.conformed(call, obj, []))
        for admit in self.hooks.admit:
            admit(call, obj, old)
        return obj

    async def _review(self, call: Call, obj: Obj | None, old: Obj | None) -> None:
        """Validating admission: policies, webhooks, and at the end the quotas."""
        if self.hooks.confirm is not None and call.user is not SYSTEM:
            await self.hooks.confirm(call, obj, old)
        if obj is not None:
            for check in self.hooks.last:
                check(call, obj, old)

    def _place(self, call: Call, meta: Obj) -> None:
        resource = call.resource
        if resource.namespaced:
            if meta.get("namespace") not in (None, "", call.namespace):
                raise err.bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            meta["namespace"] = call.namespace
        else:
            meta.pop("namespace", None)
        if not meta.get("name") and meta.get("generateName"):
            taken = self.store.collection(resource.store_key)
            for _ in range(8):
                meta["name"] = meta["generateName"][:58] + "".join(random.choices(_SUFFIX, k=5))
                if taken.get(call.namespace, meta["name"]) is None:
                    break
        if not meta.get("name"):
            cause = err.required("metadata.name", "name or generateName is required")
            raise err.invalid(resource.kind, resource.group, "", [cause])

    def _default(self, call: Call, obj: Obj) -> Obj:
        """Defaults; the object comes back in its stored version."""
        resource = call.resource
        writes.drop_empty(obj["metadata"])
        if resource.definition == "EventsV1Event" and obj.get("apiVersion") != "v1":
            obj.update(core := eventapi.to_core(obj))
            for key in [key for key in obj if key not in core]:
                del obj[key]
        if resource.crd is not None:
            resource.crd.default(obj)
        else:
            apply_defaults(resource.store_key, obj)
        return obj

    def _own(self, call: Call, obj: Obj, old: Obj | None, sent: Any) -> None:
        with contextlib.suppress(KeyError):  # a list item without its key: validation will say so
            self._owned(call, obj, old, sent)

    def _owned(self, call: Call, obj: Obj, old: Obj | None, sent: Any) -> None:
        resource = call.resource
        managed.update(
            resource_status=resource.status,
            old=old,
            new=obj,
            sent=sent,
            node=self.registry.schema(resource),
            manager=call.manager,
            api_version=resource.api_version,
            subresource=call.target,
            typed=resource.crd is None,
            now=self.stamp(),
        )

    def _validate(self, call: Call, obj: Obj, old: Obj | None) -> None:
        core = call.resource.crd is None and call.resource.group != "apiextensions.k8s.io"
        causes: list[err.Cause] = []
        if call.subresource != "status":
            causes = check_metadata(call.resource.kind, obj["metadata"], core=core)
        for check in self.hooks.validate:
            causes += check(call, obj, old)
        if causes:
            raise err.invalid(call.resource.kind, call.resource.group, obj["metadata"].get("name", ""), causes)

    def _commit(self, call: Call, obj: Obj) -> Stored:
        resource = call.resource
        if resource.crd is not None:
            obj["apiVersion"] = resource.crd.storage_api_version
        if call.dry_run:
            return self.unstored(resource, obj)
        return self.store.put(resource.store_key, obj)

    def unstored(self, resource: Resource, obj: Obj) -> Stored:
        """A result that was not stored (dry run)."""
        raw = encode(obj)
        meta = obj["metadata"]
        return Stored(meta.get("namespace", ""), meta["name"], "", 0, raw, {}, {}, (), raw.index(b'"metadata":'))

    async def replace(
        self, call: Call, stored: Stored, obj: Obj, *, entries: list[Obj] | None = None, partial: bool = False
    ) -> Stored:
        """Store a fitted new state. `partial` (a patch) does not need a resourceVersion.

        Raises `Stale` when a webhook took its time and the object changed meanwhile.
        """
        resource = call.resource
        old = self.view(resource, stored)
        meta = obj["metadata"]
        writes.lock(call, meta, old["metadata"], partial=partial)
        sent = meta.pop("managedFields", None)
        strategy.prepare_update(resource, obj, old, call.subresource)
        meta = obj["metadata"]
        sent_fields = meta.pop("managedFields", None) if call.subresource == "status" else sent
        obj = self._default(call, obj)
        if resource.definition == "EventsV1Event":
            old = stored.load()
        if entries is not None:
            meta["managedFields"] = entries
        else:
            self._own(call, obj, old, sent if sent is not None else sent_fields)
        obj = await self._admit(call, obj, old)
        meta = obj["metadata"]
        meta["resourceVersion"] = old["metadata"]["resourceVersion"]
        self._fresh(call, stored)
        if writes.unchanged(obj, old):
            return stored
        if strategy.bumps(resource, obj, old, call.subresource):
            meta["generation"] = int(meta.get("generation", 0)) + 1
        self._validate(call, obj, old)
        await self._review(call, obj, old)
        self._fresh(call, stored)
        if deletion.finished(resource, obj) and not call.dry_run:
            return self._last_write(call, stored, obj)
        return self._commit(call, obj)

    def _fresh(self, call: Call, stored: Stored) -> None:
        current = self.store.collection(call.resource.store_key).get(stored.namespace, stored.name)
        if current is not stored:
            raise Stale(call)

    async def delete(self, call: Call, stored: Stored, options: Obj) -> tuple[Stored, bool]:
        """(last or terminating state, whether it is gone)."""
        for check in self.hooks.deleting:
            check(call, stored)
        if self.hooks.mutate is not None and call.user is not SYSTEM:
            old = self.view(call.resource, stored)
            await self.hooks.mutate(call, None, old)
            await self._review(call, None, old)
            self._fresh(call, stored)
        return self.remove(call, stored, options)

    def remove(self, call: Call, stored: Stored, options: Obj) -> tuple[Stored, bool]:
        """Delete without admission: what the server's own controllers do."""
        return deletion.delete(
            self.store,
            call.resource,
            stored,
            options,
            now=self.now(),
            dry_run=call.dry_run or bool(options.get("dryRun")),
        )

    def _last_write(self, call: Call, stored: Stored, obj: Obj) -> Stored:
        """An update that took the last finalizer away is a deletion: watchers see no change before it."""
        if call.resource.crd is not None:
            obj["apiVersion"] = call.resource.crd.storage_api_version
        self.store.remove(call.resource.store_key, stored)
        return self.unstored(call.resource, obj)
