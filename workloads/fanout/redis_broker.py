"""The broker in Redis: pub/sub for speed, the room's stream for truth.

Pub/sub loses whatever is sent while nobody listens, and a crash of Redis may lose its last second, so live events are
never trusted alone. After every (re)subscription, and whenever offsets jump, the log is read from the last known offset
on; the entry at that offset must still be the same one, or the history was rewound and gets a new epoch, because an
offset that means two events would silence one of them. A check every second finds a feed that died without a word.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

import uuid_utils
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from workloads.common import rooms
from workloads.common.loops import going_on
from workloads.common.rooms import Published, Rooms
from workloads.fanout.broker import BrokerAway
from workloads.fanout.metrics import Metrics
from workloads.fanout.ring import BadEvent, Entry, Fit, parse_entry
from workloads.fanout.room import Room

CALL_SECONDS = 3.0
PAGE = 256
Answer = TypeVar("Answer")

_NEW_EPOCH = """
if redis.call('HGET', KEYS[1], 'epoch') == ARGV[1] then redis.call('HSET', KEYS[1], 'epoch', ARGV[2]) end
return redis.call('HMGET', KEYS[1], 'epoch', 'offset')
"""

logger = logging.getLogger(__name__)


class _Feed:
    """How one room is fed."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.ready = False
        self.up = False
        self.task: asyncio.Task[None] | None = None
        self.seen = ("", 0)
        self.late = 0


def connect_feed(url: str) -> Redis:
    """Client for the rooms' channels: bytes, for they go to the sockets as they come, and no retries of its own, for
    every reconnection has to be followed by a look at the log."""
    return Redis.from_url(
        url, socket_timeout=None, socket_connect_timeout=2.0, socket_keepalive=True, retry=Retry(NoBackoff(), 0)
    )


class RedisBroker:
    """Rooms over one Redis. `listener` comes from `connect_feed`, `redis` from `connect`."""

    def __init__(self, redis: Redis, listener: Redis, metrics: Metrics) -> None:
        self._redis = redis
        self._listener = listener
        self._metrics = metrics
        self._rooms = Rooms(redis)
        self._new_epoch = redis.register_script(_NEW_EPOCH)
        self._feeds: dict[str, _Feed] = {}

    async def follow(self, room: Room) -> None:
        """Feed the room until cancelled; an outage costs time, never an event."""
        feed = self._feeds.setdefault(room.name, _Feed())
        while going_on():
            feed.task = asyncio.create_task(self._listen(room, feed))
            try:
                await asyncio.wait({feed.task})
            finally:
                feed.task.cancel()
            error = None if feed.task.cancelled() else feed.task.exception()
            self._metrics.broker_up.set(0)
            if error and not isinstance(error, RedisError | OSError | TimeoutError):
                # A fault of this code must not cost everybody's socket: it is loud in the log and the feed begins anew.
                logger.error("the room's feed failed", exc_info=error)
            elif feed.up or not feed.ready:
                logger.warning("the room's events are interrupted: %s", error or "listening anew")
            feed.up = False
            await asyncio.sleep(random.uniform(0.1, 0.5))

    def is_ready(self, room: Room) -> bool:
        """Whether the room has been fed up to now at least once."""
        feed = self._feeds.get(room.name)
        return feed is not None and feed.ready

    async def check(self, room: Room) -> None:
        """Compare positions; what was published a whole check ago must have arrived."""
        feed = self._feeds.get(room.name)
        if feed is None or not feed.ready:
            return
        known = room.ring.last
        epoch, offset = await self._bounded(self._position(room.name))
        seen, feed.seen = feed.seen, (epoch, offset)
        missed = seen[0] == room.ring.epoch and seen[1] > known
        if not missed and epoch == room.ring.epoch and offset >= known:
            feed.late = 0
            return
        feed.late += 1
        await self._bounded(self._sync(room, feed))
        if feed.late > 1 and feed.task:
            logger.warning("the subscription is silent", extra={"room": room.name})
            feed.task.cancel()

    async def catch_up(self, room: Room) -> None:
        """Bring the room to the end of the log now."""
        await self._bounded(self._sync(room, self._feeds.setdefault(room.name, _Feed())))

    async def publish(self, room: str, event: str, data: Mapping[str, Any], *, key: str) -> Published:
        """Append to the history and deliver to every pod."""
        return await self._bounded(self._rooms.publish(room, event, dict(data), idempotency_key=key))

    async def take_turn(self, room: str, user: str, key: str, seconds: float) -> float:
        """Slow mode over all pods: the turn is a key that expires, and names the message that took it."""
        name = f"{rooms.keys(room)[2]}:turn:{user}"

        async def ask() -> float:
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.set(name, key, nx=True, px=max(1, round(seconds * 1000)))
            pipeline.get(name)
            pipeline.pttl(name)
            taken, holder, left = await pipeline.execute()
            return 0.0 if taken or holder == key else max(0, int(left)) / 1000

        return await self._bounded(ask())

    async def read_log(self, room: str) -> list[Entry]:
        """The whole history that is kept, oldest first."""
        call: Any = self._redis.xrange(rooms.keys(room)[1])
        return _entries(await self._bounded(call))

    async def save(self, room: Room) -> None:
        """Store pins and boards; every pod would store the same."""
        fields = room.state.dump(room.ring.epoch)
        await self._bounded(self._redis.hset(_state_key(room.name), mapping=fields))  # type: ignore[arg-type]

    async def _bounded(self, call: Awaitable[Answer]) -> Answer:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await call
        except (RedisError, OSError, TimeoutError) as error:
            raise BrokerAway(str(error) or "no answer in time") from error

    async def _listen(self, room: Room, feed: _Feed) -> None:
        async with self._listener.pubsub() as pubsub:
            await pubsub.subscribe(rooms.keys(room.name)[2])
            async for message in pubsub.listen():
                # Redis confirms each (re)subscription: only from then on live events arrive, so only then the log is
                # read. What comes meanwhile waits in the socket and is recognised by its offset.
                if message["type"] == "subscribe":
                    await self._sync(room, feed)
                    feed.ready = feed.up = True
                    self._metrics.broker_up.set(1)
                elif message["type"] == "message":
                    await self._take(room, feed, message["data"])

    async def _take(self, room: Room, feed: _Feed, text: bytes) -> None:
        entry = _entry(text)
        if entry and room.accept(entry) in (Fit.HOLE, Fit.OTHER_HISTORY):
            await self._sync(room, feed)

    async def _sync(self, room: Room, feed: _Feed) -> None:
        """Bring the room to the end of the log."""
        async with feed.lock:
            known = room.ring.last  # before the position is read: live events may move it on meanwhile
            epoch, offset = await self._position(room.name)
            if epoch == room.ring.epoch and known <= offset and await self._continue(room):
                return
            if epoch == room.ring.epoch and not await self._goes_on(room):
                epoch = await self._begin_epoch(room, epoch)
            await self._restart(room, epoch)

    async def _continue(self, room: Room) -> bool:
        """Read on from the last known event; False when the log does not contain it unchanged."""
        log, check = rooms.keys(room.name)[1], room.ring.at(room.ring.last)
        while True:
            first = check.offset if check else room.ring.last + 1
            page = _entries(await self._redis.xrange(log, min=f"{first}-1", count=PAGE))
            if check and (not page or page[0].raw != check.raw):
                return False
            for entry in page[1:] if check else page:
                if room.accept(entry) in (Fit.HOLE, Fit.OTHER_HISTORY):
                    return False
            if len(page) < PAGE:
                return True
            check = room.ring.at(room.ring.last)

    async def _goes_on(self, room: Room) -> bool:
        """Whether the log only lost old entries: it begins after what this room knows."""
        oldest = _entries(await self._redis.xrange(rooms.keys(room.name)[1], count=1))
        return bool(oldest) and oldest[0].offset > room.ring.last

    async def _begin_epoch(self, room: Room, epoch: str) -> str:
        meta = rooms.keys(room.name)[0]
        answer: Any = await self._new_epoch(keys=[meta], args=[epoch, uuid_utils.uuid7().hex])
        logger.warning("the room's history was rewound", extra={"room": room.name, "epoch": answer[0]})
        return str(answer[0])

    async def _restart(self, room: Room, epoch: str) -> None:
        _, log, _ = rooms.keys(room.name)
        # The position is read first: whatever is appended in between is in the log, or comes live as the next offset.
        _, offset = await self._position(room.name)
        newest = _entries(await self._redis.xrevrange(log, count=rooms.HISTORY))[::-1]
        saved: Any = await self._redis.hgetall(_state_key(room.name))
        last = max(offset, newest[-1].offset if newest else 0)
        room.restart(epoch, last, newest, saved)
        logger.info("the room's history is read", extra={"room": room.name, "epoch": epoch, "offset": last})

    async def _position(self, name: str) -> tuple[str, int]:
        """(epoch, offset) of the history, which begins here if there is none."""
        meta = rooms.keys(name)[0]
        epoch, offset = await self._redis.hmget(meta, ["epoch", "offset"])
        if epoch is None:
            await self._redis.hsetnx(meta, "epoch", uuid_utils.uuid7().hex)
            epoch, offset = await self._redis.hmget(meta, ["epoch", "offset"])
        return str(epoch), int(offset or 0)


def _state_key(room: str) -> str:
    return f"{rooms.keys(room)[2]}:state"


def _entry(raw: bytes) -> Entry | None:
    try:
        return parse_entry(raw)
    except BadEvent as error:
        logger.error("the broker delivered no event: %s", error)
        return None


def _entries(found: Any) -> list[Entry]:
    parsed = (_entry(fields.get("event", "").encode()) for _, fields in found or ())
    return [entry for entry in parsed if entry is not None]
