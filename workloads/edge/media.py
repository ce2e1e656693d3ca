"""`/hls/…` for viewers: classify, find the origin, fetch once, answer many. Plain ASGI, because this is the hot
path."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from workloads.common.directory import DirectoryUnavailable
from workloads.common.origins import NotLive, Origins, UnknownStream
from workloads.common.problem import Problem
from workloads.edge import policy
from workloads.edge.cache import CacheFull, CoalescingCache, Entry
from workloads.edge.metrics import Metrics
from workloads.edge.policy import Kind, Target
from workloads.edge.upstream import OriginAway, Upstream

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PLAYLISTS = frozenset((Kind.MASTER, Kind.PLAYLIST, Kind.BLOCKING_PLAYLIST))
_COMMON_HEADERS = [
    (b"access-control-allow-origin", b"*"),
    (b"timing-allow-origin", b"*"),
    (b"x-content-type-options", b"nosniff"),
]
_MIN_GZIP_BYTES = 400
ORIGIN_PATIENCE_SECONDS = 5.0
_RETRY_SECONDS = 0.25

logger = logging.getLogger(__name__)


class Media:
    """ASGI application for paths under `/hls/`."""

    def __init__(self, origins: Origins, upstream: Upstream, cache: CoalescingCache, metrics: Metrics) -> None:
        self._origins = origins
        self._upstream = upstream
        self._cache = cache
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD; problems for all else."""
        try:
            if scope["method"] not in ("GET", "HEAD"):
                raise Problem(405, "method_not_allowed", "Media is read only: use GET or HEAD.")
            target = policy.classify(scope["path"], scope["query_string"].decode("latin-1"))
            if target is None:
                raise Problem(404, "unknown_path", "There is no media under this path.")
            entry = await self.entry(target)
        except Problem as problem:
            await self._refuse(problem, scope, receive, send)
            return
        await self._answer(target, entry, scope, send)

    async def entry(self, target: Target) -> Entry:
        """The origin's answer to a target, from the cache if it may be; Problem 404 or 503 when there is none."""
        try:
            return await self._cache.get(
                target.path, lambda: self._fetch(target), lambda entry: _fresh_seconds(target, entry)
            )
        except UnknownStream:
            raise Problem(404, "unknown_stream", f"There is no stream {target.stream}.") from None
        except NotLive:
            detail = f"{target.stream} is not on air."
            raise Problem(404, "not_live", detail, retry_after_seconds=1) from None
        except (OriginAway, DirectoryUnavailable) as error:
            self._metrics.origin_failures.inc()
            logger.warning("no answer from the origin: %s", error, extra={"stream": target.stream})
            detail = "The stream is being moved, try again."
            raise Problem(503, "origin_away", detail, retry_after_seconds=1) from error
        except CacheFull:
            raise Problem(503, "busy", "Too many requests wait for origins.", retry_after_seconds=1) from None

    async def _fetch(self, target: Target) -> Entry:
        """Ask the origin; a playlist is asked for again for some seconds, which hides a transcoder's replacement."""
        patience = ORIGIN_PATIENCE_SECONDS if target.kind in _PLAYLISTS else 0.0
        give_up = time.monotonic() + patience
        while True:
            origin = await self._origins.find(target.stream)
            try:
                return await self._upstream.fetch(origin + target.path)
            except OriginAway:
                # A replaced transcoder has another address: the next look-up asks the directory.
                self._origins.forget(target.stream)
                if time.monotonic() >= give_up:
                    raise
            await asyncio.sleep(_RETRY_SECONDS * random.uniform(0.5, 1))

    async def _answer(self, target: Target, entry: Entry, scope: Scope, send: Send) -> None:
        control = target.cache_control if entry.status == 200 else "no-store"
        headers = [
            (b"content-type", entry.content_type.encode("latin-1")),
            (b"cache-control", control.encode()),
            *_COMMON_HEADERS,
        ]
        body = entry.body
        if target.kind in _PLAYLISTS:
            headers.append((b"vary", b"accept-encoding"))
            if len(body) >= _MIN_GZIP_BYTES and _accepts_gzip(scope):
                body = entry.compressed()
                headers.append((b"content-encoding", b"gzip"))
        if entry.status == 503:
            headers.append((b"retry-after", b"1"))
        headers.append((b"content-length", b"%d" % len(body)))
        self._metrics.count(target.kind, entry.status, len(body))
        await send({"type": "http.response.start", "status": entry.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _refuse(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        self._metrics.count("refused", problem.status, 0)
        response = problem.response()
        response.headers["cache-control"] = "no-store"
        response.headers["access-control-allow-origin"] = "*"
        if problem.status == 405:
            response.headers["allow"] = "GET, HEAD"
        await response(scope, receive, send)


def _fresh_seconds(target: Target, entry: Entry) -> float:
    if entry.status == 200:
        return target.fresh_seconds
    return policy.ERROR_SECONDS if entry.status < 500 else 0.0


def _accepts_gzip(scope: Scope) -> bool:
    return any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])
