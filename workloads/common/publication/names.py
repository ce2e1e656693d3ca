"""Which keys a stream accepts, for protocols that name the stream and prove the key: the Redis hash `haat:ingest:keys`.

The operators write it sealed. A found entry serves while Redis is away, for the same reasons as a route.
"""

import json
import logging
import time
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.common.publication.routes import FRESH_SECONDS, STALE_SECONDS, RouteUnavailable
from workloads.common.sealed import Seal, SealError

KEY = "haat:ingest:keys"
MAX_NAMES = 10_000

logger = logging.getLogger(__name__)


class StreamKeys:
    """Cached look-ups by stream id."""

    def __init__(self, redis: Redis, seal: Seal, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._seal = seal
        self._clock = clock
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}

    async def find(self, stream: str) -> tuple[str, ...]:
        """The keys of a stream, none for an unknown one; RouteUnavailable when nobody can tell."""
        now = self._clock()
        stamp, keys = self._known.get(stream, (-STALE_SECONDS, ()))
        if keys and now - stamp < FRESH_SECONDS:
            return keys
        try:
            raw = await self._redis.hget(KEY, stream)
        except (RedisError, OSError) as error:
            if keys and now - stamp < STALE_SECONDS:
                return keys
            raise RouteUnavailable(str(error)) from error
        keys = self._read(stream, str(raw)) if raw else ()
        self._known.pop(stream, None)
        if keys:
            self._known[stream] = (now, keys)
            if len(self._known) > MAX_NAMES:
                self._known.pop(next(iter(self._known)))
        return keys

    def _read(self, stream: str, raw: str) -> tuple[str, ...]:
        try:
            return tuple(str(key) for key in json.loads(self._seal.open(raw, about=stream)) if key)
        except (SealError, ValueError, TypeError) as error:
            logger.error("unusable entry in %s: %s", KEY, error, extra={"stream": stream})
            return ()
