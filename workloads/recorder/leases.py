"""Who does what: leases in Redis with an expiry and a fencing token.

Only an answer that names another holder ends a lease. While Redis is away nobody else can take it either, and what is
stored twice has one name, so work goes on; when an emptied Redis comes back the lease is taken again.
"""

import asyncio
import contextlib
import logging
import random
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.common.loops import going_on

TTL_SECONDS = 3.0
RENEW_SECONDS = 0.8
PREFIX = "haat:recorder:lease:"
TOKEN_KEY = "haat:recorder:token"  # noqa: S105 - a counter, no secret

_ACQUIRE = """
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
local now = redis.call('TIME')
local token = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
if token <= last then token = last + 1 end
redis.call('SET', KEYS[2], string.format('%.0f', token))
return token
"""
_RENEW = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Lease:
    """A held lease. `lost` is set when somebody else holds it."""

    name: str
    token: int
    lost: asyncio.Event


class Leases:
    """Leases of one process, which is `holder`."""

    def __init__(self, redis: Redis, holder: str) -> None:
        self._redis = redis
        self._holder = holder
        self._acquire = redis.register_script(_ACQUIRE)
        self._renew = redis.register_script(_RENEW)
        self._release = redis.register_script(_RELEASE)
        self._held: dict[str, Lease] = {}

    async def acquire(self, name: str) -> Lease | None:
        """The lease, None when somebody has it; RedisError when nobody can tell."""
        answer = await self._acquire(keys=[PREFIX + name, TOKEN_KEY], args=[self._holder, int(TTL_SECONDS * 1000)])
        if not int(answer):
            return None
        lease = self._held[name] = Lease(name, int(answer), asyncio.Event())
        return lease

    async def free(self, names: list[str]) -> list[str]:
        """Those that nobody holds now; RedisError when nobody can tell."""
        holders = await self._redis.mget([PREFIX + name for name in names]) if names else []
        return [name for name, holder in zip(names, holders, strict=True) if holder is None]

    async def release(self, lease: Lease) -> None:
        """Give it back, so that others need not wait for its end."""
        self._held.pop(lease.name, None)
        if lease.lost.is_set():
            return
        with contextlib.suppress(RedisError, OSError):
            await self._release(keys=[PREFIX + lease.name], args=[self._holder])

    async def run(self) -> None:
        """Renew what is held until cancelled."""
        while going_on():
            await asyncio.sleep(RENEW_SECONDS * random.uniform(0.8, 1))
            for lease in list(self._held.values()):
                await self._keep(lease)

    async def _keep(self, lease: Lease) -> None:
        try:
            kept = await self._renew(keys=[PREFIX + lease.name], args=[self._holder, int(TTL_SECONDS * 1000)])
        except (RedisError, OSError) as error:
            logger.debug("a lease is not renewed: %s", error)
            return
        if not int(kept) and self._held.get(lease.name) is lease:
            logger.warning("another recorder has the lease", extra={"lease": lease.name})
            del self._held[lease.name]
            lease.lost.set()
