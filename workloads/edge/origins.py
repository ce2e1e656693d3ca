"""Where a stream's origin is: the Redis hash `haat:streams`, which the operators write.

Looked up at most once a second per stream; the last answer outlives Redis for five minutes, since viewers of a running
broadcast should not notice that a mailbox is away.
"""

import asyncio
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

KEY = "haat:streams"
FRESH_SECONDS = 1.0
STALE_SECONDS = 300.0
MAX_STREAMS = 10_000

logger = logging.getLogger(__name__)


class UnknownStream(Exception):
    """No stream has this id."""


class NotLive(Exception):
    """The stream exists and has no origin now."""


class DirectoryUnavailable(Exception):
    """Nobody can tell where the stream is."""


class Origins:
    """Cached look-ups by stream id."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, str | None]] = OrderedDict()
        self._pending: dict[str, asyncio.Task[str | None]] = {}

    async def find(self, stream: str) -> str:
        """Base URL of the origin; UnknownStream, NotLive or DirectoryUnavailable when there is none."""
        known = self._known.get(stream)
        if known and self._clock() - known[0] < FRESH_SECONDS:
            return _usable(stream, known[1])
        task = self._pending.get(stream)
        if task is None:
            task = self._pending[stream] = asyncio.create_task(self._look_up(stream))
        return _usable(stream, await asyncio.shield(task))

    def forget(self, stream: str) -> None:
        """The origin did not answer: ask again at the next request, keeping the old answer for a Redis outage."""
        known = self._known.get(stream)
        if known:
            self._known[stream] = (min(known[0], self._clock() - FRESH_SECONDS), known[1])

    async def _look_up(self, stream: str) -> str | None:
        try:
            raw = await self._redis.hget(KEY, stream)
        except (RedisError, OSError) as error:
            known = self._known.get(stream)
            if known and self._clock() - known[0] < STALE_SECONDS:
                logger.warning("redis is away, using the last known origin", extra={"stream": stream})
                return known[1]
            raise DirectoryUnavailable(str(error)) from error
        finally:
            self._pending.pop(stream, None)
        origin = parse_origin(str(raw)) if raw else None
        self._known[stream] = (self._clock(), origin)
        self._known.move_to_end(stream)
        if len(self._known) > MAX_STREAMS:
            self._known.popitem(last=False)
        return origin


def parse_origin(raw: str) -> str:
    """The origin in an entry's JSON; empty when it names none."""
    try:
        origin = json.loads(raw)["origin"]
    except (ValueError, KeyError, TypeError):
        return ""
    return origin.rstrip("/") if isinstance(origin, str) and origin.startswith("http://") else ""


def _usable(stream: str, origin: str | None) -> str:
    if origin is None:
        raise UnknownStream(stream)
    if not origin:
        raise NotLive(stream)
    return origin
