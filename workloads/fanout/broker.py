"""Where a room's events come from and go to. Pods of a room meet only here.

A broker keeps the history under epoch and offset and feeds each room from it, in order and without holes: `Room.accept`
says when something is missing and the broker reads it up. `MemoryBroker` is a room of one process; the same rules, no
store.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import uuid_utils

from workloads.common.rooms import HISTORY, IDEMPOTENCY_SECONDS, Published, new_event
from workloads.fanout.ring import Entry, parse_entry
from workloads.fanout.room import Room


class BrokerAway(Exception):
    """The broker does not answer: nothing was published as far as this pod knows; the same id may be sent again."""


class Broker(Protocol):
    """What rooms need of a broker. Every call but `follow` is bounded in time and raises BrokerAway."""

    async def follow(self, room: Room) -> None:
        """Feed the room until cancelled."""

    async def check(self, room: Room) -> None:
        """Find out whether the feed has silently stopped, and mend it."""

    async def catch_up(self, room: Room) -> None:
        """Bring the room to the end of the history now."""

    def is_ready(self, room: Room) -> bool:
        """Whether the room has been fed up to now at least once."""

    async def publish(self, room: str, event: str, data: Mapping[str, Any], *, key: str) -> Published:
        """Append to the history and deliver to every pod."""

    async def take_turn(self, room: str, user: str, key: str, seconds: float) -> float:
        """Slow mode: 0 when the user may speak now (again, for the same key), else the seconds to wait."""

    async def read_log(self, room: str) -> list[Entry]:
        """The whole history that is kept, oldest first."""

    async def save(self, room: Room) -> None:
        """Store the state that pods which start later need."""


class MemoryBroker:
    """Everything in this process; several hubs may share it, as pods share Redis."""

    def __init__(self) -> None:
        self._epochs: dict[str, str] = {}
        self._logs: dict[str, list[Entry]] = {}
        self._rooms: dict[str, list[Room]] = {}
        self._seen: dict[str, tuple[float, Published]] = {}
        self._turns: dict[tuple[str, str], tuple[float, str]] = {}
        self._saved: dict[str, dict[str, str]] = {}

    def attach(self, room: Room) -> None:
        """Feed the room from now on."""
        log = self._logs.setdefault(room.name, [])
        last = log[-1].offset if log else 0
        room.restart(self._epoch(room.name), last, log, self._saved.get(room.name, {}))
        self._rooms.setdefault(room.name, []).append(room)

    async def follow(self, room: Room) -> None:
        """Feed the room until cancelled."""
        self.attach(room)
        try:
            await asyncio.Event().wait()
        finally:
            self._rooms[room.name].remove(room)

    async def check(self, room: Room) -> None:
        """Nothing can be missed here."""

    async def catch_up(self, room: Room) -> None:
        """It always is there."""

    def is_ready(self, room: Room) -> bool:
        """Whether the room is attached."""
        return room in self._rooms.get(room.name, ())

    async def publish(self, room: str, event: str, data: Mapping[str, Any], *, key: str) -> Published:
        """Append to the history and deliver to every hub."""
        return self.put(room, event, data, key=key)

    def put(self, room: str, event: str, data: Mapping[str, Any], *, key: str = "") -> Published:
        """`publish` without a loop."""
        now = time.monotonic()
        self._seen = {name: item for name, item in self._seen.items() if item[0] > now}
        known = self._seen.get(f"{room} {key}") if key else None
        if known:
            return Published(known[1].epoch, known[1].offset, False)
        log = self._logs.setdefault(room, [])
        published = Published(self._epoch(room), (log[-1].offset if log else 0) + 1, True)
        document = new_event(room, event, dict(data)) | {"offset": published.offset, "epoch": published.epoch}
        entry = parse_entry(msgspec.json.encode(document))
        log.append(entry)
        del log[:-HISTORY]
        if key:
            self._seen[f"{room} {key}"] = (now + IDEMPOTENCY_SECONDS, published)
        for listener in self._rooms.get(room, ()):
            self.deliver(listener, entry)
        return published

    def deliver(self, room: Room, entry: Entry) -> None:
        """Hand one event to one hub."""
        room.accept(entry)

    async def take_turn(self, room: str, user: str, key: str, seconds: float) -> float:
        """Slow mode."""
        now = time.monotonic()
        until, holder = self._turns.get((room, user), (0.0, ""))
        if until > now:
            return 0.0 if holder == key else until - now
        self._turns[room, user] = (now + seconds, key)
        return 0.0

    async def read_log(self, room: str) -> list[Entry]:
        """The whole history."""
        return list(self._logs.get(room, ()))

    async def save(self, room: Room) -> None:
        """Store the state for hubs that attach later."""
        self._saved[room.name] = room.state.dump(room.ring.epoch)

    def _epoch(self, room: str) -> str:
        return self._epochs.setdefault(room, uuid_utils.uuid7().hex)
