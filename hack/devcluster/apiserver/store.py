"""Objects in memory, their resource versions, and the recent past that a watch may resume from.

All calls are synchronous, so a read and the write that depends on it are one step of the event loop: there is no lock
and no retry. An object is kept as its JSON bytes (`Stored.raw`); whoever wants to change it parses a copy of its own.
Key order of `raw` starts with apiVersion, kind, metadata, so another served version costs one slice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

HISTORY = 2048
_MARK = b'"metadata":'

Key = tuple[str, str]
Ref = tuple[str, str, str]


@dataclass(slots=True)
class Stored:
    """One version of one object. `fields` holds the values of the kind's selectable fields."""

    namespace: str
    name: str
    uid: str
    version: int
    raw: bytes
    labels: Mapping[str, str]
    fields: Mapping[str, str]
    owners: tuple[str, ...]
    offset: int

    def load(self) -> dict[str, Any]:
        """A fresh copy that the caller may change."""
        obj: dict[str, Any] = msgspec.json.decode(self.raw)
        return obj

    def render(self, prefix: bytes) -> bytes:
        """The bytes under another head: `prefix` is `{"apiVersion":…,"kind":…,` or `{`."""
        return prefix + self.raw[self.offset :]


@dataclass(slots=True)
class Event:
    """A change; `frames` caches the encoded watch line by its variant, so that many watchers share the bytes."""

    type: str
    stored: Stored
    before: Stored | None
    frames: dict[bytes, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Collection:
    """All objects of one stored kind."""

    name: str
    by_namespace: dict[str, dict[str, Stored]] = field(default_factory=dict)
    history: deque[Event] = field(default_factory=deque)
    forgotten: int = 0
    listeners: dict[int, Callable[[Event], None]] = field(default_factory=dict)

    def get(self, namespace: str, name: str) -> Stored | None:
        """The current version, or None."""
        objects = self.by_namespace.get(namespace)
        return objects.get(name) if objects else None

    def scan(self, namespace: str = "") -> Iterator[Stored]:
        """All objects (of one namespace when given), unsorted."""
        if namespace:
            yield from list(self.by_namespace.get(namespace, {}).values())
            return
        for objects in list(self.by_namespace.values()):
            yield from list(objects.values())

    def __len__(self) -> int:
        return sum(len(objects) for objects in self.by_namespace.values())

    def since(self, version: int) -> list[Event]:
        """Events after `version`, oldest first. The caller has checked `forgotten`."""
        found: list[Event] = []
        for event in reversed(self.history):
            if event.stored.version <= version:
                break
            found.append(event)
        found.reverse()
        return found

    def snapshot(self, version: int, namespace: str = "") -> list[Stored]:
        """The objects as they were after `version`. The caller has checked `forgotten`."""
        found = {(item.namespace, item.name): item for item in self.scan(namespace)}
        for event in reversed(self.since(version)):
            key = (event.stored.namespace, event.stored.name)
            if namespace and key[0] != namespace:
                continue
            if event.before is None:
                found.pop(key, None)
            else:
                found[key] = event.before
        return list(found.values())


Selectable = Callable[[str, Mapping[str, Any]], Mapping[str, str]]
JournalWrite = Callable[[str, str, str, int, bytes | None], None]


class Store:
    """Every collection, the version counter, and the indexes by uid and by owner."""

    def __init__(self, *, selectable: Selectable, journal: JournalWrite, version: int = 0) -> None:
        self.version = version
        self.collections: dict[str, Collection] = {}
        self.uids: dict[str, Ref] = {}
        self.dependents: dict[str, set[Ref]] = {}
        self.observers: list[Callable[[str, Event], None]] = []
        self._selectable = selectable
        self._journal = journal

    def collection(self, name: str) -> Collection:
        """The collection, made when it does not exist yet."""
        found = self.collections.get(name)
        if found is None:
            found = self.collections[name] = Collection(name, forgotten=self.version)
        return found

    def restore(self, collection: str, raw: bytes) -> None:
        """Take an object from the journal, without an event."""
        obj = msgspec.json.decode(raw)
        stored = self._stored(collection, obj, int(obj["metadata"]["resourceVersion"]), raw)
        self._index(collection, stored, None)

    def put(self, collection: str, obj: dict[str, Any]) -> Stored:
        """Write an object: gives it the next resource version (in place), tells watchers and the journal."""
        meta = obj["metadata"]
        self.version += 1
        meta["resourceVersion"] = str(self.version)
        before = self.collection(collection).get(meta.get("namespace", ""), meta["name"])
        stored = self._stored(collection, obj, self.version, encode(obj))
        self._index(collection, stored, before)
        self._journal(collection, stored.namespace, stored.name, self.version, stored.raw)
        self._publish(collection, Event("MODIFIED" if before else "ADDED", stored, before))
        return stored

    def remove(self, collection: str, stored: Stored) -> Stored:
        """Delete an object; the result is its last state under the version of the deletion."""
        self.version += 1
        obj = stored.load()
        obj["metadata"]["resourceVersion"] = str(self.version)
        last = self._stored(collection, obj, self.version, encode(obj))
        space = self.collection(collection).by_namespace[stored.namespace]
        del space[stored.name]
        if not space:
            del self.collection(collection).by_namespace[stored.namespace]
        ref = (collection, stored.namespace, stored.name)
        self.uids.pop(stored.uid, None)
        self._unlink(stored, ref)
        self._journal(collection, stored.namespace, stored.name, self.version, None)
        self._publish(collection, Event("DELETED", last, stored))
        return last

    def _stored(self, collection: str, obj: Mapping[str, Any], version: int, raw: bytes) -> Stored:
        meta = obj["metadata"]
        return Stored(
            namespace=meta.get("namespace", ""),
            name=meta["name"],
            uid=meta.get("uid", ""),
            version=version,
            raw=raw,
            labels=meta.get("labels") or {},
            fields=self._selectable(collection, obj),
            owners=tuple(owner.get("uid", "") for owner in meta.get("ownerReferences") or ()),
            offset=raw.index(_MARK),
        )

    def _index(self, collection: str, stored: Stored, before: Stored | None) -> None:
        ref = (collection, stored.namespace, stored.name)
        self.collection(collection).by_namespace.setdefault(stored.namespace, {})[stored.name] = stored
        self.uids[stored.uid] = ref
        if before is not None and before.owners != stored.owners:
            self._unlink(before, ref)
        if before is None or before.owners != stored.owners:
            for uid in stored.owners:
                self.dependents.setdefault(uid, set()).add(ref)

    def _unlink(self, stored: Stored, ref: Ref) -> None:
        for uid in stored.owners:
            refs = self.dependents.get(uid)
            if refs is not None:
                refs.discard(ref)
                if not refs:
                    del self.dependents[uid]

    def _publish(self, collection: str, event: Event) -> None:
        kept = self.collection(collection)
        kept.history.append(event)
        if len(kept.history) > HISTORY:
            kept.forgotten = kept.history.popleft().stored.version
        for listener in list(kept.listeners.values()):
            listener(event)
        for observer in self.observers:
            observer(collection, event)


def encode(obj: dict[str, Any]) -> bytes:
    """Canonical JSON: apiVersion, kind, metadata first."""
    head = {"apiVersion": obj.get("apiVersion"), "kind": obj.get("kind"), "metadata": obj["metadata"]}
    return msgspec.json.encode(head | {key: value for key, value in obj.items() if key not in head})
