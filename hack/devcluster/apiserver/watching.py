"""One watch: which changes a client sees and in which bytes.

An object that leaves the selector is DELETED for the watcher, one that enters it is ADDED. The encoded line of an
event is made once per representation and shared. A client that does not read is cut off at `BACKLOG` events and has
to resume.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from hack.devcluster.apiserver.errors import ApiError, expired
from hack.devcluster.apiserver.selectors import Matcher
from hack.devcluster.apiserver.store import Collection, Event, Stored

BACKLOG = 20_000
Encoder = Callable[[Stored], bytes]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a list or a watch selects."""

    namespace: str = ""
    labels: Matcher | None = None
    fields: Matcher | None = None

    def accepts(self, stored: Stored) -> bool:
        """Whether the object belongs to the selection."""
        if self.namespace and stored.namespace != self.namespace:
            return False
        if self.labels is not None and not self.labels(stored.labels):
            return False
        return self.fields is None or self.fields(stored.fields)


class Watcher:
    """The queue between the store and one client. `variant` names the representation for the frame cache."""

    def __init__(self, collection: Collection, scope: Scope, *, variant: bytes, encoder: Encoder) -> None:
        self._collection = collection
        self._scope = scope
        self._variant = variant
        self._encoder = encoder
        self._frames: deque[bytes] = deque()
        self._ready = asyncio.Event()
        self.closed = False

    @property
    def collection(self) -> str:
        """Name of the watched collection."""
        return self._collection.name

    def start(self, version: int | None) -> None:
        """Begin after `version`; None begins with the present objects as ADDED. Raises 410 when the past is gone."""
        if version is not None:
            if version < self._collection.forgotten:
                raise expired(f"too old resource version: {version} ({self._collection.forgotten})")
            for event in self._collection.since(version):
                self._take(event)
        else:
            present = [item for item in self._collection.scan(self._scope.namespace) if self._scope.accepts(item)]
            for stored in sorted(present, key=lambda item: (item.namespace, item.name)):
                self._push(frame("ADDED", self._encoder(stored)))
        self._collection.listeners[id(self)] = self._take

    def stop(self) -> None:
        """Leave the collection."""
        self._collection.listeners.pop(id(self), None)

    def end(self) -> None:
        """Finish the stream after what is queued (the kind is gone, or the server stops)."""
        self.closed = True
        self._ready.set()

    def bookmark(self, version: int, head: Mapping[str, str], *, initial_end: bool = False) -> None:
        """Queue a BOOKMARK."""
        meta: dict[str, object] = {"resourceVersion": str(version)}
        if initial_end:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        self._push(frame("BOOKMARK", msgspec.json.encode({**head, "metadata": meta})))

    async def frames(self, timeout: float) -> bytes:
        """Everything queued, joined; empty after `timeout` seconds of silence."""
        if not self._frames and not self.closed:
            self._ready.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._ready.wait()
            except TimeoutError:
                return b""
        chunk = b"".join(self._frames)
        self._frames.clear()
        return chunk

    def _push(self, line: bytes) -> None:
        self._frames.append(line)
        if len(self._frames) > BACKLOG:
            self.stop()
            self.closed = True
        self._ready.set()

    def _take(self, event: Event) -> None:
        kind = event.type
        now = self._scope.accepts(event.stored)
        if kind == "MODIFIED" and event.before is not None:
            then = self._scope.accepts(event.before)
            if not now and not then:
                return
            kind = "MODIFIED" if now and then else "ADDED" if now else "DELETED"
        elif not now:
            return
        key = kind.encode() + self._variant
        line = event.frames.get(key)
        if line is None:
            line = event.frames[key] = frame(kind, self._encoder(event.stored))
        self._push(line)


def frame(kind: str, raw: bytes) -> bytes:
    """One line of the watch protocol."""
    return b'{"type":"' + kind.encode() + b'","object":' + raw + b"}\n"


def error_frame(problem: ApiError) -> bytes:
    """The ERROR event that ends a watch."""
    return frame("ERROR", msgspec.json.encode(problem.status()))
