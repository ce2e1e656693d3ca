"""Recordings as they are asked for: heads and timelines, kept for a moment while they grow, longer once ended."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from workloads.common.problem import Problem
from workloads.recorder import layout, room, shelf
from workloads.recorder.index import DamagedDocument, Head, Minute, decode_minute, unite
from workloads.recorder.room import Moment
from workloads.recorder.storage import ObjectMissing, Storage, Stored
from workloads.recorder.timeline import Timeline

GROWING_SECONDS, ENDED_SECONDS = 0.8, 30.0
_KEPT = 64

Value = TypeVar("Value")


@dataclass(slots=True)
class View:
    """A recording and its timeline."""

    head: Head
    timeline: Timeline


@dataclass(slots=True)
class _Growing:
    documents: dict[Stored, Minute] = field(default_factory=dict)


class Kept(Generic[Value]):
    """Values by key for some seconds; one look-up at a time for each, whoever asks."""

    def __init__(self, size: int, seconds: Callable[[Value], float]) -> None:
        self._size = size
        self._seconds = seconds
        self._values: OrderedDict[str, tuple[float, Value]] = OrderedDict()
        self._pending: dict[str, asyncio.Task[Value]] = {}

    async def get(self, key: str, make: Callable[[], Awaitable[Value]]) -> Value:
        """The value; whatever `make` raises reaches everybody who waits for it."""
        known = self._values.get(key)
        if known is not None and known[0] > time.monotonic():
            self._values.move_to_end(key)
            return known[1]
        task = self._pending.get(key)
        if task is None:
            task = self._pending[key] = asyncio.create_task(self._make(key, make))
        return await asyncio.shield(task)

    async def _make(self, key: str, make: Callable[[], Awaitable[Value]]) -> Value:
        try:
            value = await make()
        finally:
            self._pending.pop(key, None)
        self._values[key] = (time.monotonic() + self._seconds(value), value)
        self._values.move_to_end(key)
        while len(self._values) > self._size:
            self._values.popitem(last=False)
        return value


class Library:
    """Reads one store."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._heads: Kept[Head | None] = Kept(_KEPT * 8, _seconds)
        self._views: Kept[View] = Kept(_KEPT, lambda view: _seconds(view.head))
        self._moments: Kept[list[Moment]] = Kept(_KEPT, lambda _: 2.0)
        self._lists: Kept[list[Head]] = Kept(_KEPT, lambda _: 2.0)
        self._growing: OrderedDict[str, _Growing] = OrderedDict()

    async def head(self, recording: layout.Recording) -> Head:
        """The head; Problem 404 when there is no such recording. StorageAway."""
        head = await self._heads.get(recording.root, lambda: shelf.read_head(self._storage, recording))
        if head is None:
            raise Problem(404, "unknown_recording", f"There is no recording {recording.root}.")
        return head

    async def view(self, recording: layout.Recording) -> View:
        """The recording with its timeline; Problem 404. StorageAway."""
        head = await self.head(recording)
        key = f"{recording.root} {head.state}"
        return await self._views.get(key, lambda: self._read(head))

    async def moments(self, recording: layout.Recording) -> list[Moment]:
        """The room's events in the order of play time."""
        view = await self.view(recording)

        async def read() -> list[Moment]:
            if view.head.ended:
                lines = (await self._storage.get(recording.file("events.jsonl"))).splitlines()
                return [msgspec.json.decode(line, type=Moment) for line in lines]
            return room.replay(await shelf.read_lines(self._storage, recording), view.timeline)

        try:
            return await self._moments.get(recording.root, read)
        except (ObjectMissing, msgspec.DecodeError):
            return []

    async def recordings(self, stream: str, limit: int = 50) -> list[Head]:
        """The stream's recordings, newest first."""

        async def read() -> list[Head]:
            names = [name for name in await self._storage.folders(stream) if layout.RECORDING.fullmatch(name)]
            newest = sorted(names, reverse=True)[:limit]
            heads = await asyncio.gather(
                *(shelf.read_head(self._storage, layout.Recording(stream, name)) for name in newest)
            )
            return [head for head in heads if head is not None]

        return await self._lists.get(stream, read)

    async def _read(self, head: Head) -> View:
        recording = head.recording
        if head.ended:
            self._growing.pop(recording.root, None)
            try:
                index = unite([decode_minute(await self._storage.get(recording.whole_index))])
            except (ObjectMissing, DamagedDocument):
                index = await shelf.read_index(self._storage, recording)
            return View(head, Timeline(index))
        growing = self._growing.setdefault(recording.root, _Growing())
        self._growing.move_to_end(recording.root)
        while len(self._growing) > _KEPT:
            self._growing.popitem(last=False)
        return View(head, Timeline(await shelf.read_index(self._storage, recording, growing.documents)))


def _seconds(head: Head | None) -> float:
    return ENDED_SECONDS if head is not None and head.ended else GROWING_SECONDS
