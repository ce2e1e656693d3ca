"""Who is watching: sessions of accounts and of channels, counted over all edges.

A session is a token's holder at one address with one player. Each edge counts its own in memory and tells the others
through Redis every two seconds, so that no request waits for Redis and a limit is exceeded for seconds at most. While
Redis is away, each edge goes on with what it knows.

`haat:sessions:{<slug> <sub>}` (sorted set): session id by the time of its beginning, for accounts with a limit.
`haat:watching` (hash): `<slug> <pod>` -> `{"viewers", "ts_ms"}`, for channels with a limit.
"""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.common.access.gate import Grant
from workloads.common.access.viewer import Viewer
from workloads.common.loops import going_on
from workloads.common.problem import Problem
from workloads.edge.limit.bandwidth import Bucket

WATCHING = "haat:watching"
SYNC_SECONDS, IDLE_SECONDS, STALE_MS = 2.0, 20.0, 10_000
MAX_SESSIONS = 200_000
Policy = Literal["evict", "refuse"]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Session:
    """One of them; times in epoch seconds. `over` is set when it is one too many."""

    id: str
    account: str
    slug: str
    began: float
    seen: float
    over: bool = False
    bucket: Bucket | None = None


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """`per_account` sessions of one account (0: any number); beyond it `evict` ends the oldest, `refuse` the newest.
    `viewer_kbps` is what one viewer may take (0: any)."""

    per_account: int = 0
    policy: Policy = "evict"
    viewer_kbps: int = 0


class Sessions:
    """Made once a process; `run` it."""

    def __init__(self, redis: Redis, pod: str, limits: SessionLimits, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._pod = pod
        self.limits = limits
        self._clock = clock
        self._sessions: dict[tuple[str, str], Session] = {}
        self._elsewhere: dict[str, int] = {}
        self._here: dict[str, int] = {}
        self._failing = False

    def applies(self, grant: Grant) -> bool:
        """Whether this viewer's session has to be known."""
        limited = grant.rules.max_viewers > 0 or (self.limits.per_account > 0 and bool(grant.sub))
        return not grant.is_host and (limited or self.limits.viewer_kbps > 0)

    def touch(self, grant: Grant, viewer: Viewer) -> Session:
        """The viewer's session, begun if it is new; Problem 403 or 503 when it is one too many."""
        slug, now = grant.rules.slug, self._clock()
        name = session_id(grant, viewer)
        session = self._sessions.get((slug, name))
        if session is None:
            self._check_room(grant, slug)
            account = grant.sub if self.limits.per_account else ""
            session = Session(name, account, slug, now, now)
            if self.limits.viewer_kbps:
                session.bucket = Bucket(self.limits.viewer_kbps * 1000, now)
            self._sessions[slug, name] = session
            self._here[slug] = self._here.get(slug, 0) + 1
        session.seen = now
        if session.over:
            detail = f"The account is watching on {self.limits.per_account} other devices."
            raise Problem(403, "too_many_sessions", detail)
        return session

    def viewers(self, slug: str) -> int:
        """Viewers of a channel on all edges."""
        return self._here.get(slug, 0) + self._elsewhere.get(slug, 0)

    def _check_room(self, grant: Grant, slug: str) -> None:
        full = 0 < grant.rules.max_viewers <= self.viewers(slug)
        if full or len(self._sessions) >= MAX_SESSIONS:
            raise Problem(503, "channel_full", "The channel has as many viewers as it may.", retry_after_seconds=10)

    def forget_idle(self) -> None:
        """Sessions that have not asked for anything for a while are over."""
        deadline = self._clock() - IDLE_SECONDS
        for key in [key for key, item in self._sessions.items() if item.seen < deadline]:
            del self._sessions[key]
        self._here = {}
        for slug, _ in self._sessions:
            self._here[slug] = self._here.get(slug, 0) + 1

    async def sync(self) -> None:
        """Tell the other edges, and hear from them; RedisError."""
        self.forget_idle()
        accounts: dict[tuple[str, str], list[Session]] = {}
        for session in self._sessions.values():
            if session.account:
                accounts.setdefault((session.slug, session.account), []).append(session)
        for (slug, account), sessions in accounts.items():
            await self._sync_account(f"haat:sessions:{{{slug} {account}}}", sessions)
        await self._sync_channels()

    async def _sync_account(self, key: str, sessions: list[Session]) -> None:
        now = self._clock()
        async with self._redis.pipeline(transaction=False) as pipe:
            for session in sessions:
                if not session.over:
                    pipe.zadd(key, {session.id: session.began})
                    pipe.set(f"{key}:{session.id}", "1", ex=int(IDLE_SECONDS))
            pipe.expire(key, 3600)
            pipe.zrange(key, 0, -1)
            answers: list[Any] = await pipe.execute()
        known: list[str] = answers[-1]
        alive = await self._redis.mget([f"{key}:{name}" for name in known]) if known else []
        gone = [name for name, sign in zip(known, alive, strict=True) if sign is None]
        if gone:
            await self._redis.zrem(key, *gone)
        running = [name for name in known if name not in gone]
        most = self.limits.per_account
        chosen = running[-most:] if self.limits.policy == "evict" else running[:most]
        for session in sessions:
            if session.id in running and session.id not in chosen:
                session.over = True
                await self._redis.zrem(key, session.id)
            elif session.over and session.id not in running and len(running) < most:
                session.over, session.began = False, now

    async def _sync_channels(self) -> None:
        now_ms = int(self._clock() * 1000)
        for slug, viewers in self._here.items():
            if slug:
                body = json.dumps({"viewers": viewers, "ts_ms": now_ms})
                await self._redis.hset(WATCHING, f"{slug} {self._pod}", body)
        answer: Any = await self._redis.hgetall(WATCHING)
        self._elsewhere, old = count_elsewhere(answer, self._pod, now_ms)
        if old:
            await self._redis.hdel(WATCHING, *old)

    async def run(self) -> None:
        """Sync until cancelled."""
        while going_on():
            try:
                await self.sync()
                self._failing = False
            except (RedisError, OSError) as error:
                if not self._failing:
                    logger.warning("sessions are not counted over all edges: %s", error)
                self._failing = True
            await asyncio.sleep(SYNC_SECONDS)


def count_elsewhere(answer: dict[str, str], pod: str, now_ms: int) -> tuple[dict[str, int], list[str]]:
    """Viewers by channel on other pods, and the fields of pods that are no more."""
    found: dict[str, int] = {}
    old = []
    for field, raw in answer.items():
        slug, _, other = field.partition(" ")
        try:
            body = json.loads(raw)
            if now_ms - int(body["ts_ms"]) > STALE_MS:
                old.append(field)
            elif other != pod:
                found[slug] = found.get(slug, 0) + int(body["viewers"])
        except (ValueError, KeyError, TypeError):
            old.append(field)
    return found, old


def session_id(grant: Grant, viewer: Viewer) -> str:
    """What tells sessions apart: the token's holder, its address and its player; a token bound to a session is one."""
    if "Session" in grant.rules.bind_to and grant.jti:
        parts: tuple[str, ...] = (grant.jti,)
    else:
        parts = (grant.sub, viewer.address, viewer.user_agent)
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def check_bucket(session: Session, now: float) -> None:
    """Problem 503 when the viewer has taken more than it may."""
    if session.bucket is not None:
        seconds = session.bucket.wait(now)
        if seconds > 0:
            detail = "More was asked for than the viewer's share of the line."
            raise Problem(503, "bandwidth_cap", detail, retry_after_seconds=seconds)
