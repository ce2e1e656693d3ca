"""Keeps in Redis what the planners publish for the data plane.

Redis may lose everything at any moment, so what was published is remembered here and written again when a sweep finds
it missing. A field that nobody plans any more is removed when its plan says so, never by guessing.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace

from redis.asyncio import Redis

from operators.core.plan import Publication
from operators.runtime.metrics import PUBLICATIONS
from workloads.common.sealed import Seal

logger = logging.getLogger(__name__)


class Publisher:
    """Desired fields of Redis hashes and the means to write them."""

    def __init__(self, redis: Redis, seal: Seal | None = None) -> None:
        self._redis = redis
        self._seal = seal
        self._desired: dict[tuple[str, str], Publication] = {}

    async def publish(self, publications: tuple[Publication, ...]) -> None:
        """Write what changed since the last time; after a RedisError the rest is still to be written."""
        for item in self._closed(publications):
            if self._is_current(item):
                continue
            await self._write(item)
            if item.value is not None:
                self._desired[(item.key, item.field)] = item
            else:
                self._desired.pop((item.key, item.field), None)

    async def repair(self) -> int:
        """Write again what Redis does not have; the number of fields that were missing."""
        repaired = 0
        for key in {name for name, _ in self._desired}:
            wanted = {field: item for (name, field), item in self._desired.items() if name == key}
            fields = list(wanted)
            live = await self._redis.hmget(key, fields)
            for field, value in zip(fields, live, strict=True):
                item = wanted[field]
                # What was published while we read is newer than what we compare with.
                if value != item.value and self._desired.get((key, field)) is item:
                    await self._write(item)
                    repaired += 1
        if repaired:
            logger.warning("redis had lost publications", extra={"repaired": repaired})
        return repaired

    def _closed(self, publications: tuple[Publication, ...]) -> Iterator[Publication]:
        for item in publications:
            if not item.sealed or item.value is None:
                yield item
            elif self._seal:
                yield replace(item, value=self._seal.close(item.value, about=item.field))

    def _is_current(self, item: Publication) -> bool:
        known = self._desired.get((item.key, item.field))
        return known is not None and known.value == item.value

    async def _write(self, item: Publication) -> None:
        if item.value is None:
            await self._redis.hdel(item.key, item.field)
        else:
            await self._redis.hset(item.key, item.field, item.value)
        if item.announce:
            await self._redis.publish(item.announce, item.field)
        PUBLICATIONS.labels(item.key).inc()
