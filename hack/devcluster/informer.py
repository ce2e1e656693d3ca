"""A local cache of one kind, fed by list and watch, with write-through of one's own writes.

Trap avoided: a controller that acts on a cache which has not yet seen its own last write creates children twice.
`observe` puts the server's answer in the cache at once, and an older watch event never overwrites it.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterator

from hack.devcluster.client import ApiClient, ApiError, Gone, NotFound
from hack.devcluster.objects import Key, Obj, key_of, meta, namespace_of, resource_version, uid_of
from hack.devcluster.resources import Resource

log = logging.getLogger(__name__)

Handler = Callable[[Obj | None, Obj | None], None]
"""Called with (old, new): (None, obj) appeared, (obj, None) went."""

_GONE_LIMIT = 4096
_UNSERVED_RETRY = 2.0


class Informer:
    """All objects of one kind by key. Objects in it are shared: never change them in place."""

    def __init__(self, client: ApiClient, resource: Resource, *, selector: str = "") -> None:
        self.resource = resource
        self.synced = asyncio.Event()
        self._client = client
        self._selector = selector
        self._objects: dict[Key, Obj] = {}
        self._namespaces: dict[str, dict[str, Obj]] = {}
        self._handlers: list[Handler] = []
        self._gone: dict[str, None] = {}

    def on_change(self, handler: Handler) -> None:
        """Subscribe; objects already known are delivered at once."""
        self._handlers.append(handler)
        for obj in list(self._objects.values()):
            handler(None, obj)

    def get(self, key: Key) -> Obj | None:
        return self._objects.get(key)

    def all(self) -> Iterator[Obj]:
        return iter(list(self._objects.values()))

    def in_namespace(self, namespace: str) -> list[Obj]:
        return list(self._namespaces.get(namespace, {}).values())

    def observe(self, obj: Obj) -> Obj:
        """Put the answer of one's own write into the cache."""
        self._put(obj)
        return obj

    def forget(self, obj: Obj) -> None:
        """The object was deleted for good by one's own call; its late watch events are ignored."""
        self._gone[uid_of(obj)] = None
        while len(self._gone) > _GONE_LIMIT:
            self._gone.pop(next(iter(self._gone)))
        self._remove(obj)

    async def run(self) -> None:
        """List and watch until cancelled; resumes from the last version, lists again when it is too old."""
        version = ""
        delay = 0.2
        while True:
            try:
                if not version:
                    version = await self._list()
                async for kind, obj in self._client.watch(self.resource, version=version, selector=self._selector):
                    version = str(meta(obj).get("resourceVersion", version))
                    self._apply(kind, obj)
                    delay = 0.2
            except Gone:
                version = ""
            except NotFound:
                # The kind is not served (a CRD that is not there yet): it has no objects.
                version = ""
                self.synced.set()
                await asyncio.sleep(_UNSERVED_RETRY)
            except (ApiError, ValueError, KeyError) as error:
                log.warning("watch of %s broke: %s", self.resource.plural, error)
                version = ""
                await asyncio.sleep(delay * random.uniform(0.8, 1.2))
                delay = min(delay * 2, 5.0)

    async def _list(self) -> str:
        params = {"fieldSelector": self._selector} if self._selector else None
        answer = await self._client.list(self.resource, params=params)
        items = answer.get("items") or []
        present = {key_of(item): uid_of(item) for item in items}
        for key, old in list(self._objects.items()):
            if present.get(key) != uid_of(old):
                self._remove(old)
        for item in items:
            # Items of a list carry no apiVersion and kind of their own.
            item.setdefault("apiVersion", self.resource.api_version)
            item.setdefault("kind", self.resource.kind)
            self._put(item)
        self.synced.set()
        return str(meta(answer).get("resourceVersion", ""))

    def _apply(self, kind: str, obj: Obj) -> None:
        if kind in ("ADDED", "MODIFIED"):
            self._put(obj)
        elif kind == "DELETED":
            self._gone.pop(uid_of(obj), None)
            self._remove(obj)

    def _put(self, obj: Obj) -> None:
        key = key_of(obj)
        old = self._objects.get(key)
        if uid_of(obj) in self._gone:
            return
        if old is not None and uid_of(old) == uid_of(obj) and resource_version(old) >= resource_version(obj):
            return
        meta(obj).pop("managedFields", None)
        if old is not None and uid_of(old) != uid_of(obj):
            if resource_version(old) > resource_version(obj):
                return
            self._remove(old)
            old = None
        self._objects[key] = obj
        self._namespaces.setdefault(namespace_of(obj), {})[key[1]] = obj
        self._notify(old, obj)

    def _remove(self, obj: Obj) -> None:
        key = key_of(obj)
        old = self._objects.get(key)
        if old is None or uid_of(old) != uid_of(obj):
            return
        del self._objects[key]
        self._namespaces[key[0]].pop(key[1], None)
        if not self._namespaces[key[0]]:
            del self._namespaces[key[0]]
        self._notify(old, None)

    def _notify(self, old: Obj | None, new: Obj | None) -> None:
        for handler in self._handlers:
            handler(old, new)
