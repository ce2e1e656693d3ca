"""A pod's sign of life for the operators: one field of the hash `haat:heartbeats`, written every second.

A lost Redis costs signs of life, never service: errors are logged once per outage and the beat goes on.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.common.loops import going_on

KEY = "haat:heartbeats"
INTERVAL_SECONDS = 1.0

logger = logging.getLogger(__name__)


class Heartbeat:
    """Writes `payload()` plus `ts_ms` to field `<component>/<stream id>/<pod>` until cancelled."""

    def __init__(self, redis: Redis, field: str, payload: Callable[[], dict[str, Any]]) -> None:
        self._redis = redis
        self._field = field
        self._payload = payload
        self._failing = False
        self._wake = asyncio.Event()

    def nudge(self) -> None:
        """Beat now: something changed that the operators should hear of at once."""
        self._wake.set()

    async def run(self) -> None:
        """Beat once a second and at each nudge; on cancellation the field is removed."""
        try:
            while going_on():
                await self._beat()
                try:
                    await asyncio.wait_for(self._wake.wait(), INTERVAL_SECONDS)
                except TimeoutError:
                    continue
                finally:
                    self._wake.clear()
        finally:
            await self._remove()

    async def _beat(self) -> None:
        body = json.dumps(self._payload() | {"ts_ms": int(time.time() * 1000)})
        try:
            await self._redis.hset(KEY, self._field, body)
            self._failing = False
        except (RedisError, OSError) as error:
            if not self._failing:
                logger.warning("heartbeat is not delivered: %s", error)
            self._failing = True

    async def _remove(self) -> None:
        try:
            await asyncio.wait_for(self._redis.hdel(KEY, self._field), 1)
        except (RedisError, OSError, TimeoutError) as error:
            logger.info("heartbeat stays until it expires: %s", error)
