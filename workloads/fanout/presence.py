"""What the room hears about itself once a second: how many watch, over all pods, and the stream's phase.

Each pod reads the others' heartbeats and tells its own sockets; there are no join and leave events, whose number grows
with the square of the room.
"""

import asyncio
import json
import logging
import time
from typing import Any, Protocol

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.common import heartbeat
from workloads.common.loops import going_on
from workloads.common.rooms import new_event
from workloads.fanout.broker import Broker, BrokerAway
from workloads.fanout.hub import Hub
from workloads.fanout.ring import parse_entry
from workloads.fanout.room import Room

STREAMS = "haat:streams"
INTERVAL_SECONDS = 1.0
FRESH_MS = 5000

logger = logging.getLogger(__name__)


class Directory(Protocol):
    """What other planes say about a room."""

    async def look(self, room: str) -> tuple[int, str]:
        """(viewers on other pods, phase of the stream); OSError or RedisError when it cannot be read."""


class RedisDirectory:
    """The platform's keys in Redis; `pod` is this pod's name, whose own count is known better here."""

    def __init__(self, redis: Redis, pod: str) -> None:
        self._redis = redis
        self._pod = pod

    async def look(self, room: str) -> tuple[int, str]:
        """See Directory."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hgetall(heartbeat.KEY)
        pipeline.hget(STREAMS, room)
        beats, stream = await pipeline.execute()
        mine = f"fanout/{room}/{self._pod}"
        prefix, now = f"fanout/{room}/", int(time.time() * 1000)
        others = [text for field, text in beats.items() if field.startswith(prefix) and field != mine]
        return sum(_viewers(text, now) for text in others), _phase(stream)


class Alone:
    """The directory of a pod without Redis."""

    async def look(self, room: str) -> tuple[int, str]:
        """Nobody else, and nothing known."""
        return 0, ""


class Presence:
    """Looks once a second and tells the rooms what changed; saves their state and checks their feed on the way."""

    def __init__(self, hub: Hub, broker: Broker, directory: Directory) -> None:
        self._hub = hub
        self._broker = broker
        self._directory = directory
        self._others: dict[str, int] = {}

    async def run(self) -> None:
        """Look until cancelled; an outage leaves the last known values."""
        while going_on():
            for room in list(self._hub.rooms.values()):
                try:
                    await self._round(room)
                except (RedisError, OSError, TimeoutError, BrokerAway) as error:
                    logger.info("the room's surroundings are not known: %s", error)
                self._tell_viewers(room)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def _round(self, room: Room) -> None:
        others, phase = await self._directory.look(room.name)
        self._others[room.name] = others
        if phase != room.state.phase:
            room.state.phase = phase
            tell(room, "stream.state", {"phase": phase})
        await self._broker.check(room)
        if room.state.dirty and room.ring.epoch:
            # Cleared first: what changes while it is saved is saved the next time.
            room.state.dirty = False
            try:
                await self._broker.save(room)
            except BrokerAway:
                room.state.dirty = True
                raise

    def _tell_viewers(self, room: Room) -> None:
        viewers = self._others.get(room.name, 0) + len(room.members)
        if viewers != room.state.viewers:
            room.state.viewers = viewers
            tell(room, "viewers.tick", {"viewers": viewers})


def tell(room: Room, event: str, data: dict[str, Any]) -> None:
    """An ephemeral event of this pod to its own sockets."""
    room.accept(parse_entry(msgspec.json.encode(new_event(room.name, event, data))))


def _viewers(text: str, now: int) -> int:
    try:
        beat = json.loads(text)
        return int(beat["viewers"]) if now - int(beat["ts_ms"]) <= FRESH_MS else 0
    except (ValueError, KeyError, TypeError):
        return 0


def _phase(text: str | None) -> str:
    try:
        return str(json.loads(text or "{}").get("phase") or "")
    except (ValueError, AttributeError):
        return ""
