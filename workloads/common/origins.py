"""Where a stream's origin is: the Redis hash `haat:streams`."""

import json
import time
from collections.abc import Callable

from redis.asyncio import Redis

from workloads.common.directory import Directory

KEY = "haat:streams"


class UnknownStream(Exception):
    """No stream has this id."""


class NotLive(Exception):
    """The stream exists and has no origin now."""


class Origins:
    """Cached look-ups by stream id."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory: Directory[str] = Directory(redis, KEY, parse_origin, clock=clock)

    async def find(self, stream: str) -> str:
        """Base URL of the origin; UnknownStream, NotLive or DirectoryUnavailable when there is none."""
        origin = await self._directory.find(stream)
        if origin is None:
            raise UnknownStream(stream)
        if not origin:
            raise NotLive(stream)
        return origin

    def forget(self, stream: str) -> None:
        """The origin did not answer: ask again at the next request."""
        self._directory.forget(stream)


def parse_origin(raw: str) -> str:
    """The origin in an entry's JSON; empty when it names none."""
    try:
        origin = json.loads(raw)["origin"]
    except (ValueError, KeyError, TypeError):
        return ""
    return origin.rstrip("/") if isinstance(origin, str) and origin.startswith("http://") else ""
