"""Playback tokens that were taken back: hash `haat:revoked`, read whole every two seconds.

A field is `<stream id or *> jti <jti>` or `<stream id or *> sub <sub>`, its value `{"at_ms", "until_ms"}`: tokens that
were issued later are good again, and after `until_ms` (the longest life of a token) the field goes. While Redis is
away, what was taken back stays so.
"""

import asyncio
import json
import logging
import time
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.common.access.tokens import ALL_STREAMS, PlaybackClaims
from workloads.common.loops import going_on

KEY = "haat:revoked"
REFRESH_SECONDS = 2.0
KEEP_SECONDS = 7 * 86_400
_KINDS = ("jti", "sub")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Revocation:
    """One of them; times in epoch seconds."""

    at: float
    until: float


def field(stream: str, kind: str, value: str) -> str:
    """Its place in the hash."""
    return f"{stream} {kind} {value}"


def parse(document: dict[str, str]) -> dict[str, Revocation]:
    """Revocations by field; an unreadable one counts from the beginning of time, since it was meant to close."""
    found = {}
    for name, raw in document.items():
        try:
            body = json.loads(raw)
            found[name] = Revocation(float(body["at_ms"]) / 1000, float(body["until_ms"]) / 1000)
        except (ValueError, KeyError, TypeError):
            logger.error("unreadable revocation %r", name[:100])
            found[name] = Revocation(float("inf"), float("inf"))
    return found


class Revocations:
    """Made anywhere, `run` it in the background; `version` changes whenever the set does."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._known: dict[str, Revocation] = {}
        self._failing = False
        self.version = 0

    def covers(self, stream: str, claims: PlaybackClaims) -> bool:
        """Whether this token was taken back."""
        if not self._known:
            return False
        for scope in (stream, ALL_STREAMS):
            for kind, value in (("jti", claims.jti), ("sub", claims.sub)):
                found = self._known.get(field(scope, kind, value)) if value else None
                if found is not None and claims.issued_at <= found.at:
                    return True
        return False

    async def revoke(self, stream: str, *, kind: str, value: str, keep_seconds: float = KEEP_SECONDS) -> None:
        """Take tokens back, here at once; RedisError when it could not be written."""
        if kind not in _KINDS:
            raise ValueError(f"kind is {kind!r}, not one of {_KINDS}")
        now = time.time()
        body = json.dumps({"at_ms": int(now * 1000), "until_ms": int((now + keep_seconds) * 1000)})
        await self._redis.hset(KEY, field(stream, kind, value), body)
        self._known = self._known | {field(stream, kind, value): Revocation(now, now + keep_seconds)}
        self.version += 1

    async def refresh(self) -> None:
        """Read the hash, and drop what is over; RedisError."""
        answer: Any = await self._redis.hgetall(KEY)
        known, now = parse(answer), time.time()
        over = [name for name, item in known.items() if item.until < now]
        if over:
            await self._redis.hdel(KEY, *over)
        known = {name: item for name, item in known.items() if item.until >= now}
        if known != self._known:
            self._known = known
            self.version += 1

    async def run(self) -> None:
        """Refresh until cancelled."""
        while going_on():
            try:
                await self.refresh()
                self._failing = False
            except (RedisError, OSError) as error:
                if not self._failing:
                    logger.warning("revocations cannot be read, the last known ones count: %s", error)
                self._failing = True
            await asyncio.sleep(REFRESH_SECONDS)
