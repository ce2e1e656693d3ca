"""Which transcoder takes a stream key: the Redis hash `haat:ingest`, which the operators write.

Keys are looked up by their SHA-256, so that neither Redis nor a log ever holds one. A found route is kept for a
second to absorb reconnect storms, and longer while Redis is away, because a known publisher should not be lost with
the mailbox.
"""

import hashlib
import ipaddress
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

KEY = "haat:ingest"
FRESH_SECONDS = 1.0
STALE_SECONDS = 300.0
MAX_ROUTES = 10_000

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

logger = logging.getLogger(__name__)


class RouteUnavailable(Exception):
    """The routing table cannot be read now; trying again later helps."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where the media of one stream key goes: `target` is `http://ip:port` of the transcoder.

    `networks` are the only ones that may publish, `protocols` the only ones that may be spoken; none means all.
    `max_kbps` is what a publisher may send; 0 leaves it to ingest.
    """

    stream: str
    uid: str
    target: str
    networks: tuple[Network, ...] = ()
    protocols: frozenset[str] = frozenset()
    max_kbps: int = 0

    def speaks(self, protocol: str) -> bool:
        """Whether a publisher may speak this protocol (`rtmp`, `srt`, `whip`)."""
        return not self.protocols or protocol == "pull" or protocol.upper() in self.protocols

    def admits(self, peer: str) -> bool:
        """Whether a publisher at the address `peer` may publish."""
        if not self.networks:
            return True
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self.networks)


class Routes:
    """Cached look-ups by stream key."""

    def __init__(self, redis: Redis, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._clock = clock
        self._known: dict[str, tuple[float, Route]] = {}

    async def find(self, key: str) -> Route | None:
        """The route of a stream key, None for an unknown key; RouteUnavailable when nobody can tell."""
        digest = hashlib.sha256(key.encode()).hexdigest()
        now = self._clock()
        stamp, route = self._known.get(digest, (-STALE_SECONDS, None))
        if route and now - stamp < FRESH_SECONDS:
            return route
        try:
            raw = await self._redis.hget(KEY, digest)
        except (RedisError, OSError) as error:
            if route and now - stamp < STALE_SECONDS:
                logger.warning("redis is away, using the last known route", extra={"stream": route.stream})
                return route
            raise RouteUnavailable(str(error)) from error
        found = parse_route(str(raw)) if raw else None
        self._remember(digest, now, found)
        return found

    def _remember(self, digest: str, now: float, route: Route | None) -> None:
        self._known.pop(digest, None)
        if route:
            self._known[digest] = (now, route)
            if len(self._known) > MAX_ROUTES:
                self._known.pop(next(iter(self._known)))


def parse_route(raw: str) -> Route | None:
    """A route from its JSON, None when an entry is unusable (which is logged: the operators wrote it)."""
    try:
        body = json.loads(raw)
        networks = tuple(ipaddress.ip_network(item, strict=False) for item in body.get("allowed_cidrs") or ())
        protocols = frozenset(str(item).upper() for item in body.get("protocols") or ())
        limit = int(body.get("max_bitrate_kbps") or 0)
        route = Route(str(body["stream"]), str(body.get("uid", "")), str(body["target"]), networks, protocols, limit)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        logger.error("unusable entry in %s: %r", KEY, error)
        return None
    if not route.target.startswith("http://"):
        logger.error("unusable target in %s: %s", KEY, route.target, extra={"stream": route.stream})
        return None
    return route
