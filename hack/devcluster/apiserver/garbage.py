"""Garbage collection by owner references: background, foreground and orphaning, as finalizers of the owner say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hack.devcluster.apiserver import deletion
from hack.devcluster.apiserver.calls import SYSTEM, Call
from hack.devcluster.apiserver.kinds import Resource
from hack.devcluster.apiserver.rest import Rest
from hack.devcluster.apiserver.store import Ref, Stored

Obj = dict[str, Any]


def call_of(resource: Resource, stored: Stored) -> Call:
    """A call of the server's own on one object."""
    query = {"fieldManager": "kube-controller-manager"}
    return Call(SYSTEM, resource, namespace=stored.namespace, name=stored.name, query=query)


class Garbage:
    """The collector. `push` queues an object to be looked at."""

    def __init__(self, rest: Rest, push: Callable[[Ref], None]) -> None:
        self._rest = rest
        self._store = rest.store
        self._push = push

    def owned(self, resource: Resource, stored: Stored) -> None:
        """Delete an object whose owners are all gone; drop references to absent owners when one is left."""
        meta = stored.load()["metadata"]
        if meta.get("deletionTimestamp"):
            return
        owners = meta["ownerReferences"]
        alive = [owner for owner in owners if self._alive(owner, stored)]
        waiting = [owner for owner in alive if self._foreground(owner)]
        if alive and len(waiting) < len(alive):
            if len(alive) < len(owners) or waiting:
                obj = stored.load()
                obj["metadata"]["ownerReferences"] = [owner for owner in alive if owner not in waiting] or alive
                self._store.put(resource.store_key, obj)
            return
        policy = "Foreground" if waiting and self._store.dependents.get(stored.uid) else "Background"
        if deletion.ORPHAN in (meta.get("finalizers") or ()):
            policy = "Orphan"
        options = {"propagationPolicy": policy, "preconditions": {"uid": meta["uid"]}}
        self._rest.remove(call_of(resource, stored), stored, options)

    def _alive(self, owner: Obj, stored: Stored) -> bool:
        ref = self._store.uids.get(owner.get("uid", ""))
        return ref is not None and ref[1] in ("", stored.namespace)

    def _foreground(self, owner: Obj) -> bool:
        collection, namespace, name = self._store.uids[owner["uid"]]
        found = self._store.collection(collection).get(namespace, name)
        if found is None or b'"deletionTimestamp"' not in found.raw:
            return False
        return deletion.FOREGROUND in (found.load()["metadata"].get("finalizers") or ())

    def terminating(self, resource: Resource, stored: Stored) -> None:
        """Take the finalizers of propagation off when their work is done; delete what nothing holds."""
        obj = stored.load()
        finalizers = obj["metadata"].get("finalizers") or []
        if deletion.ORPHAN in finalizers:
            self._orphan(stored)
            self.release(resource, obj, deletion.ORPHAN)
        elif deletion.FOREGROUND in finalizers:
            blocking = False
            for ref in list(self._store.dependents.get(stored.uid, ())):
                self._push(ref)
                blocking = blocking or self._blocks(ref, stored.uid)
            if not blocking:
                self.release(resource, obj, deletion.FOREGROUND)
        elif deletion.finished(resource, obj):
            self._store.remove(resource.store_key, stored)

    def _blocks(self, ref: Ref, uid: str) -> bool:
        found = self._store.collection(ref[0]).get(ref[1], ref[2])
        owners = found.load()["metadata"].get("ownerReferences") or () if found is not None else ()
        return any(owner.get("uid") == uid and owner.get("blockOwnerDeletion") for owner in owners)

    def _orphan(self, stored: Stored) -> None:
        for collection, namespace, name in list(self._store.dependents.get(stored.uid, ())):
            found = self._store.collection(collection).get(namespace, name)
            if found is not None:
                obj = found.load()
                left = [owner for owner in obj["metadata"]["ownerReferences"] if owner.get("uid") != stored.uid]
                obj["metadata"]["ownerReferences"] = left
                if not left:
                    del obj["metadata"]["ownerReferences"]
                self._store.put(collection, obj)

    def release(self, resource: Resource, obj: Obj, finalizer: str) -> None:
        """Take one finalizer off."""
        meta = obj["metadata"]
        meta["finalizers"] = [name for name in meta["finalizers"] if name != finalizer]
        if not meta["finalizers"]:
            del meta["finalizers"]
        self.write_or_end(resource, obj)

    def write_or_end(self, resource: Resource, obj: Obj) -> None:
        """Store a terminating object, or delete it when nothing holds it any more."""
        current = self._store.collection(resource.store_key).get(
            obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        )
        if current is not None and deletion.finished(resource, obj):
            self._store.remove(resource.store_key, current)
        else:
            self._store.put(resource.store_key, obj)
