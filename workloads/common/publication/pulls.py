"""Which streams are pulled, and by whom: the Redis hash `haat:ingest:pulls`, sealed, and a short claim a stream."""

import json
import logging

from redis.asyncio import Redis

from workloads.common.sealed import Seal, SealError

KEY = "haat:ingest:pulls"
CLAIM_MS = 6_000

logger = logging.getLogger(__name__)


async def wanted(redis: Redis, seal: Seal) -> dict[str, tuple[str, str]]:
    """Stream id -> (address of its source, key); RedisError when nobody can tell."""
    found = {}
    for stream, raw in (await redis.hgetall(KEY)).items():
        try:
            body = json.loads(seal.open(str(raw), about=str(stream)))
            found[str(stream)] = (str(body["uri"]), str(body["key"]))
        except (SealError, ValueError, KeyError, TypeError) as error:
            logger.error("unusable entry in %s: %r", KEY, error, extra={"stream": stream})
    return found


async def claim(redis: Redis, stream: str, holder: str) -> bool:
    """Whether this holder has the stream for the next seconds; say it again before they are over.

    Two that believe so for a moment do no harm: a transcoder takes one publisher.
    """
    name = f"{KEY}:{stream}"
    if await redis.set(name, holder, nx=True, px=CLAIM_MS):
        return True
    if await redis.get(name) != holder:
        return False
    await redis.pexpire(name, CLAIM_MS)
    return True


async def release(redis: Redis, stream: str, holder: str) -> None:
    """Let others have it at once."""
    name = f"{KEY}:{stream}"
    if await redis.get(name) == holder:
        await redis.delete(name)
