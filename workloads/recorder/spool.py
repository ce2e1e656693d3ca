"""What waits for the store, on disk: bounded, whole files only, and there again after a crash.

A file is one line of JSON (what it is and where it goes) and then the bytes. Traps avoided: a file is renamed into
place, so that a crash never leaves half of one; a full disk costs the oldest segments, never the recorder.
"""

import asyncio
import contextlib
import itertools
import logging
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from workloads.recorder.index import Rendition, Segment

_SUFFIX = ".item"

logger = logging.getLogger(__name__)


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What an item is: its object's name, and for a segment its entry in the index."""

    stream: str
    recording: str
    path: str
    rung: str = ""
    segment: Segment | None = None
    rendition: Rendition | None = None
    slot: int | None = None
    at: float = 0.0


@dataclass(slots=True, eq=False)
class Item:
    """An item on disk; `busy` while it is being stored, `gone` when it was given up."""

    label: Label
    file: Path
    size: int
    busy: bool = False
    gone: bool = False

    def read(self) -> bytes:
        """The object's bytes; OSError when the file is away."""
        data = self.file.read_bytes()
        return data[data.index(b"\n") + 1 :]


_LABEL = msgspec.json.Decoder(Label)


class SpoolFull(Exception):
    """There is no room, and nothing that could be given up."""


class Spool:
    """The items of all recordings of this process, oldest first. `on_drop` hears of each that is given up."""

    def __init__(self, folder: Path, max_bytes: int, writer: str) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._writer = writer
        self._numbers = itertools.count()
        self._items: OrderedDict[Path, Item] = OrderedDict()
        self.bytes = 0
        self.on_drop: Callable[[Item], None] = lambda item: None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def max_bytes(self) -> int:
        """The bound."""
        return self._max_bytes

    def leftovers(self) -> list[Item]:
        """What an earlier process left; damaged files are removed."""
        found = []
        for file in sorted(self._folder.glob(f"*{_SUFFIX}")):
            if file.name.startswith(self._writer):
                continue
            try:
                with file.open("rb") as opened:
                    label = _LABEL.decode(opened.readline())
                item = Item(label, file, file.stat().st_size)
            except (OSError, msgspec.DecodeError) as error:
                logger.warning("a spooled file is damaged: %s", error)
                file.unlink(missing_ok=True)
                continue
            self._keep(item)
            found.append(item)
        for part in self._folder.glob("*.part"):
            if not part.name.startswith(self._writer):
                part.unlink(missing_ok=True)
        return found

    async def add(self, label: Label, data: bytes) -> Item:
        """Keep an object until it is stored; SpoolFull when it cannot be kept."""
        head = msgspec.json.encode(label) + b"\n"
        item = Item(label, self._folder / f"{self._writer}-{next(self._numbers):012d}{_SUFFIX}", len(head) + len(data))
        while self.bytes + item.size > self._max_bytes:
            self._give_up_one()
        self.bytes += item.size
        try:
            while True:
                try:
                    await asyncio.to_thread(_write, item.file, head, data)
                    break
                except OSError as error:
                    logger.warning("the spool cannot be written: %s", error)
                    self._give_up_one()
        finally:
            self.bytes -= item.size
        self._keep(item)
        return item

    def done(self, item: Item) -> None:
        """The item is stored."""
        self._forget(item)

    def _give_up_one(self) -> None:
        """The oldest segment that is not being stored just now; init segments and pictures are small and stay."""
        victim = next((item for item in self._items.values() if item.label.segment and not item.busy), None)
        if victim is None:
            raise SpoolFull
        victim.gone = True
        self._forget(victim)
        self.on_drop(victim)

    def _keep(self, item: Item) -> None:
        self._items[item.file] = item
        self.bytes += item.size

    def _forget(self, item: Item) -> None:
        if self._items.pop(item.file, None) is not None:
            self.bytes -= item.size
        with contextlib.suppress(OSError):
            item.file.unlink()


def _write(file: Path, head: bytes, data: bytes) -> None:
    part = file.with_suffix(".part")
    try:
        with part.open("wb") as opened:
            opened.write(head)
            opened.write(data)
        os.replace(part, file)
    except OSError:
        part.unlink(missing_ok=True)
        raise
