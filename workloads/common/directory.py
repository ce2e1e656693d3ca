"""A Redis hash that the operators write, as a directory: one field a look-up, remembered for a second.

The last answer outlives Redis for five minutes, since viewers of a running broadcast should not notice that a mailbox
is away. Absence is remembered too, so names that somebody makes up cost one look-up each, and the memory is bounded.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

FRESH_SECONDS = 1.0
GRACE_SECONDS = 2.0
STALE_SECONDS = 300.0
MAX_ENTRIES = 10_000

Entry = TypeVar("Entry")

logger = logging.getLogger(__name__)


class DirectoryUnavailable(Exception):
    """Redis is away and what is asked for was not known before."""


class Directory(Generic[Entry]):
    """Cached look-ups in the hash `key`; `parse` turns a value into what is given out and must not raise."""

    def __init__(
        self, redis: Redis, key: str, parse: Callable[[str], Entry], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = redis
        self._key = key
        self._parse = parse
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Entry | None]] = OrderedDict()
        self._pending: dict[str, asyncio.Task[Entry | None]] = {}

    async def find(self, field: str) -> Entry | None:
        """The entry, None when there is none; DirectoryUnavailable when nobody can tell."""
        known = self._known.get(field)
        if known and self._clock() - known[0] < FRESH_SECONDS:
            return known[1]
        task = self._pending.get(field)
        if task is None:
            task = self._pending[field] = asyncio.create_task(self._look_up(field))
        return await asyncio.shield(task)

    def peek(self, field: str) -> tuple[Entry | None] | None:
        """What is known now, in a tuple; None when Redis has to be asked first.

        An answer that has just grown old is still given, once more Redis is asked behind it: else all who come together
        would wait together.
        """
        known = self._known.get(field)
        if known is None:
            return None
        age = self._clock() - known[0]
        if age >= FRESH_SECONDS:
            if age >= FRESH_SECONDS + GRACE_SECONDS:
                return None
            if field not in self._pending:
                task = self._pending[field] = asyncio.create_task(self._look_up(field))
                task.add_done_callback(_heard)
        return (known[1],)

    def forget(self, field: str) -> None:
        """The entry did not prove true: ask again at the next look-up, keeping it for a Redis outage."""
        known = self._known.get(field)
        if known:
            self._known[field] = (min(known[0], self._clock() - FRESH_SECONDS), known[1])

    async def _look_up(self, field: str) -> Entry | None:
        try:
            raw = await self._redis.hget(self._key, field)
        except (RedisError, OSError) as error:
            known = self._known.get(field)
            if known and self._clock() - known[0] < STALE_SECONDS:
                logger.warning("redis is away, using the last known entry of %s for %s", self._key, field)
                return known[1]
            raise DirectoryUnavailable(str(error)) from error
        finally:
            self._pending.pop(field, None)
        entry = self._parse(str(raw)) if raw else None
        self._known[field] = (self._clock(), entry)
        self._known.move_to_end(field)
        if len(self._known) > MAX_ENTRIES:
            self._known.popitem(last=False)
        return entry


def _heard(task: "asyncio.Task[Entry | None]") -> None:
    """Whoever asks next hears of a failure; nobody waits for this one."""
    if not task.cancelled() and task.exception() is not None:
        logger.debug("a look-up failed: %r", task.exception())
