"""How many bytes each stream had sent: hash `haat:metering`, field `<stream id> <yyyy-mm-dd>` (UTC).

Added to every ten seconds. What Redis did not take is added the next time.
"""

import asyncio
import logging
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.common.loops import going_on

KEY = "haat:metering"
INTERVAL_SECONDS = 10.0

logger = logging.getLogger(__name__)


class Meter:
    """Counts in memory; `run` it, and `flush` at the end."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._bytes: dict[str, int] = {}

    def add(self, stream: str, size: int) -> None:
        """These bytes were sent."""
        self._bytes[stream] = self._bytes.get(stream, 0) + size

    async def flush(self) -> None:
        """Hand over what was counted; it stays here when Redis does not take it."""
        taken, self._bytes = self._bytes, {}
        if not taken:
            return
        day = time.strftime("%Y-%m-%d", time.gmtime())
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                for stream, size in taken.items():
                    pipe.hincrby(KEY, f"{stream} {day}", size)
                await pipe.execute()
        except (RedisError, OSError) as error:
            logger.warning("bytes are not metered yet: %s", error)
            for stream, size in taken.items():
                self.add(stream, size)

    async def run(self) -> None:
        """Flush every ten seconds, until cancelled."""
        while going_on():
            await asyncio.sleep(INTERVAL_SECONDS)
            await self.flush()
