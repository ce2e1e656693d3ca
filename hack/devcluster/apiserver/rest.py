"""The verbs of the API on stored objects: read, decide, write, in one step of the event loop.

The order of work is upstream's: decode and fit, prepare (what the endpoint may change), defaults, admission,
managedFields, validation, then the write. A write that changes nothing is no write: the resource version stays.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hack.devcluster.apiserver import deletion, eventapi, managed, strategy
from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.calls import Call
from hack.devcluster.apiserver.conform import WrongType, conform, format_time
from hack.devcluster.apiserver.defaults import apply_defaults
from hack.devcluster.apiserver.kinds import Registry, Resource
from hack.devcluster.apiserver.names import check_metadata
from hack.devcluster.apiserver.store import Store, Stored, encode

Obj = dict[str, Any]
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_WRITE_TRIES = 5


@dataclass(slots=True)
class Hooks:
    """What other modules add to a write: change or refuse it, find causes against it, forbid a deletion."""

    admit: list[Callable[[Call, Obj, Obj | None], None]] = field(default_factory=list)
    validate: list[Callable[[Call, Obj, Obj | None], list[err.Cause]]] = field(default_factory=list)
    deleting: list[Callable[[Call, Stored], None]] = field(default_factory=list)


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
        resource = call.resource
        if not isinstance(obj, dict):
            raise err.bad_request("the body of the request must be an object")
        kind, version = obj.get("kind") or resource.kind, obj.get("apiVersion") or resource.api_version
        if kind != resource.kind or version != resource.api_version:
            raise err.bad_request(
                f'{kind} in version "{version}" cannot be handled as a {resource.kind}: '
                f"the API version in the data ({version}) does not match the expected API version "
                f"({resource.api_version})"
            )
        obj["kind"], obj["apiVersion"] = kind, version
        if obj.get("metadata") is None:
            obj["metadata"] = {}
        if not isinstance(obj["metadata"], dict):
            raise err.bad_request(
                f'{kind} in version "{version}" cannot be handled as a {kind}: metadata must be an object'
            )
        unknown: list[str] = []
        fitted: Obj = self.conformed(call, obj, unknown)
        self._report(call, unknown)
        return fitted

    def conformed(self, call: Call, obj: Obj, unknown: list[str]) -> Obj:
        """The object with the types of its kind, in place; 400 for a wrong type."""
        resource = call.resource
        try:
            if resource.crd is not None:
                meta = self.registry.types.node("V1ObjectMeta")
                obj["metadata"] = conform(obj["metadata"], meta, unknown, "metadata")
                resource.crd.prune(obj, unknown)
            else:
                conform(obj, self.registry.schema(resource), unknown)
        except WrongType as problem:
            kind = resource.kind
            message = f'{kind} in version "{resource.version}" cannot be handled as a {kind}: json: {problem.message}'
            raise err.bad_request(message) from problem
        return obj

    def _report(self, call: Call, unknown: list[str]) -> None:
        if not unknown or call.validation == "Ignore":
            return
        if call.validation == "Strict":
            text = ", ".join(f'unknown field "{path}"' for path in unknown)
            raise err.bad_request(
                f'{call.resource.kind} in version "{call.resource.version}" cannot be handled as a '
                f"{call.resource.kind}: strict decoding error: {text}"
            )
        call.warnings += [f'unknown field "{path}"' for path in unknown]

    def create(self, call: Call, obj: Obj, *, entries: list[Obj] | None = None) -> Stored:
        """Store a new, fitted object. `entries` are the managedFields of a server-side apply."""
        resource = call.resource
        meta = obj["metadata"]
        self._place(call, meta)
        sent = meta.pop("managedFields", None)
        if meta.get("resourceVersion"):
            raise err.bad_request("resourceVersion should not be set on objects to be created")
        meta["uid"] = str(uuid.uuid4())
        meta["creationTimestamp"] = self.stamp()
        strategy.prepare_create(resource, obj)
        obj = self._complete(call, obj, None)
        if entries is not None:
            meta["managedFields"] = entries
        else:
            self._own(call, obj, None, sent)
        self._validate(call, obj, None)
        if self.store.collection(resource.store_key).get(meta.get("namespace", ""), meta["name"]) is not None:
            raise err.already_exists(resource.plural, resource.group, meta["name"])
        return self._commit(call, obj)

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

    def _complete(self, call: Call, obj: Obj, old: Obj | None) -> Obj:
        """Defaults and synchronous admission; the object comes back in its stored version."""
        resource = call.resource
        _drop_empty(obj["metadata"])
        if resource.definition == "EventsV1Event":
            obj.update(core := eventapi.to_core(obj))
            for key in [key for key in obj if key not in core]:
                del obj[key]
        if resource.crd is not None:
            resource.crd.default(obj)
        else:
            apply_defaults(resource.store_key, obj)
        for admit in self.hooks.admit:
            admit(call, obj, old)
        return obj

    def _own(self, call: Call, obj: Obj, old: Obj | None, sent: Any) -> None:
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
        causes = check_metadata(call.resource.kind, obj["metadata"]) if call.subresource != "status" else []
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

    def replace(
        self, call: Call, stored: Stored, obj: Obj, *, entries: list[Obj] | None = None, partial: bool = False
    ) -> Stored:
        """Store a fitted new state. `partial` (a patch) does not need a resourceVersion."""
        resource = call.resource
        old = self.view(resource, stored)
        meta = obj["metadata"]
        self._lock(call, meta, old["metadata"], partial=partial)
        sent = meta.pop("managedFields", None)
        strategy.prepare_update(resource, obj, old, call.subresource)
        meta = obj["metadata"]
        sent_fields = meta.pop("managedFields", None) if call.subresource == "status" else sent
        obj = self._complete(call, obj, old)
        if resource.definition == "EventsV1Event":
            old = stored.load()
        if entries is not None:
            meta["managedFields"] = entries
        else:
            self._own(call, obj, old, sent if sent is not None else sent_fields)
        meta["resourceVersion"] = old["metadata"]["resourceVersion"]
        if self._unchanged(obj, old):
            return stored
        if strategy.bumps(resource, obj, old, call.subresource):
            meta["generation"] = int(meta.get("generation", 0)) + 1
        self._validate(call, obj, old)
        if deletion.finished(resource, obj) and not call.dry_run:
            return self._last_write(call, stored, obj)
        return self._commit(call, obj)

    def delete(self, call: Call, stored: Stored, options: Obj) -> tuple[Stored, bool]:
        """(last or terminating state, whether it is gone)."""
        for check in self.hooks.deleting:
            check(call, stored)
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

    def _lock(self, call: Call, meta: Obj, old: Obj, *, partial: bool) -> None:
        resource = call.resource
        name, namespace = meta.setdefault("name", call.name), meta.get("namespace")
        if name != old["name"]:
            raise err.bad_request(f"the name of the object ({name}) does not match the name on the URL ({old['name']})")
        if namespace not in (None, "", old.get("namespace")):
            asked = old.get("namespace", "")
            raise err.bad_request(
                f"the namespace of the object ({namespace}) does not match the namespace on the request ({asked})"
            )
        if meta.get("uid") not in (None, "", old["uid"]):
            why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {old['uid']}"
            raise err.conflict(resource.plural, resource.group, name, why)
        version = meta.get("resourceVersion")
        if version and version != old["resourceVersion"]:
            raise err.conflict(resource.plural, resource.group, name)
        if not version and resource.crd is not None and not partial:
            cause = err.Cause("metadata.resourceVersion", "Invalid value: 0: must be specified for an update")
            raise err.invalid(resource.kind, resource.group, name, [cause])

    def _unchanged(self, obj: Obj, old: Obj) -> bool:
        new_meta, old_meta = obj["metadata"], old["metadata"]
        if _without_times(new_meta) != _without_times(old_meta):
            return False
        skip = ("metadata", "apiVersion")
        return {k: v for k, v in obj.items() if k not in skip} == {k: v for k, v in old.items() if k not in skip}


def _drop_empty(meta: Obj) -> None:
    for name in ("labels", "annotations", "finalizers", "ownerReferences"):
        if name in meta and not meta[name]:
            del meta[name]


def _without_times(meta: Mapping[str, Any]) -> Obj:
    plain = {
        key: value for key, value in meta.items() if key not in ("managedFields", "labels", "annotations") or value
    }
    if "managedFields" in plain:
        plain["managedFields"] = [{k: v for k, v in entry.items() if k != "time"} for entry in plain["managedFields"]]
    return plain
