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
from workloads.edge.deliver import policy
from workloads.edge.deliver.cache import CacheFull, CoalescingCache, Entry, Growth, GrowthCut
from workloads.edge.deliver.policy import Kind, Target
from workloads.edge.deliver.upstream import OriginAway, Upstream
from workloads.edge.measure import cmcd
from workloads.edge.measure.metrics import Metrics
from workloads.edge.measure.quality import Quality
from workloads.edge.serve import answers
from workloads.edge.serve.answers import ENTRANCES, PLAYLISTS, Answer
from workloads.edge.serve.door import Door, fold

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

ORIGIN_PATIENCE_SECONDS = 5.0
_RETRY_SECONDS = 0.25

logger = logging.getLogger(__name__)


class Media:
    """ASGI application for paths under `/hls/`."""

    def __init__(
        self,
        origins: Origins,
        upstream: Upstream,
        cache: CoalescingCache,
        metrics: Metrics,
        door: Door,
        quality: Quality,
    ) -> None:
        self._origins = origins
        self._upstream = upstream
        self._cache = cache
        self._metrics = metrics
        self._door = door
        self.quality = quality

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET, HEAD and OPTIONS; problems for all else."""
        viewer = self._door.viewer(scope)
        try:
            if scope["method"] == "OPTIONS":
                await _send(answers.preflight(viewer.origin), scope, send)
                return
            if scope["method"] not in ("GET", "HEAD"):
                raise Problem(405, "method_not_allowed", "Media is read only: use GET or HEAD.")
            target = policy.classify(scope["path"], scope["query_string"].decode("latin-1"))
            if target is None:
                raise Problem(404, "unknown_path", "There is no media under this path.")
            grant = await self._door.admit(target.stream, viewer)
            self._observe(target.stream, scope)
            session = self._door.session(grant, viewer)
            self._door.enter(target.kind, session)
            entry = await self.entry(target)
        except Problem as problem:
            self._metrics.count("refused", problem.status, 0)
            await _send(answers.refusal(problem, viewer.origin), scope, send)
            return
        gzip = any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])
        query = answers.carried_query(viewer, grant) if target.kind in PLAYLISTS else b""
        found = answers.answer(target, entry, answers.dress_of(grant, viewer), gzip=gzip, query=query)
        if grant.cookie and target.kind in ENTRANCES:
            found[1].append(answers.cookie(grant, time.time(), secure=self._door.is_secure(scope)))
        if target.kind == Kind.MASTER and self._door.sessions.limits.viewer_kbps:
            found = answers.capped(found, self._door.sessions.limits.viewer_kbps * 1000)
        if entry.growth is not None:
            size = await self._send_growing(entry.growth, found, scope, send)
        else:
            size = len(found[2]) if scope["method"] == "GET" else 0
            await _send(found, scope, send)
        self._metrics.count(target.kind.value, entry.status, size, target.stream)
        if session is not None and session.bucket is not None:
            session.bucket.take(size, time.time())

    async def _send_growing(self, growth: Growth, found: Answer, scope: Scope, send: Send) -> int:
        """A segment as it is made; how much it was.

        One that is cut ends the connection, so that nobody takes it for whole.
        """
        status, headers, _ = found
        headers = [item for item in headers if item[0] != b"content-length"]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        size = 0
        if scope["method"] != "HEAD":
            try:
                async for piece in growth.read():
                    size += len(piece)
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except GrowthCut:
                return size
        await send({"type": "http.response.body", "body": b""})
        return size

    def _observe(self, stream: str, scope: Scope) -> None:
        report = cmcd.read(scope["query_string"].decode("latin-1"), fold(scope["headers"]))
        if report is not None:
            self.quality.report(stream, report)

    async def entry(self, target: Target) -> Entry:
        """The origin's answer to a target, from the cache if it may be; Problem 404 or 503 when there is none."""
        try:
            found = self.cached(target)
            return found if found is not None else await asyncio.shield(self.join(target))
        except (UnknownStream, NotLive, OriginAway, DirectoryUnavailable) as error:
            raise self.problem(target, error) from error

    def cached(self, target: Target) -> Entry | None:
        """The answer, when it is here."""
        return self._cache.peek(target.path)

    def join(self, target: Target) -> asyncio.Task[Entry]:
        """The fetch of a target, shared by all who wait for it; Problem 503 when too many are under way."""
        try:
            return self._cache.join(
                target.path, lambda: self._fetch(target), lambda entry: _fresh_seconds(target, entry)
            )
        except CacheFull:
            raise Problem(503, "busy", "Too many requests wait for origins.", retry_after_seconds=1) from None

    def problem(self, target: Target, error: BaseException) -> Problem:
        """What a viewer is told of a fetch that failed; an error that nobody expected is raised."""
        if isinstance(error, UnknownStream):
            return Problem(404, "unknown_stream", f"There is no stream {target.stream}.")
        if isinstance(error, NotLive):
            return Problem(404, "not_live", f"{target.stream} is not on air.", retry_after_seconds=1)
        if isinstance(error, OriginAway | DirectoryUnavailable):
            self._metrics.origin_failures.inc()
            logger.warning("no answer from the origin: %s", error, extra={"stream": target.stream})
            return Problem(503, "origin_away", "The stream is being moved, try again.", retry_after_seconds=1)
        raise error

    async def _fetch(self, target: Target) -> Entry:
        """Ask the origin; a playlist is asked for again for some seconds, which hides a transcoder's replacement."""
        patience = ORIGIN_PATIENCE_SECONDS if target.kind in PLAYLISTS else 0.0
        give_up = time.monotonic() + patience
        while True:
            origin = await self._origins.find(target.stream)
            try:
                if target.kind != Kind.SEGMENT:
                    return await self._upstream.fetch(origin + target.path)
                return await self._upstream.fetch(
                    origin + target.path, on_grown=lambda entry, body: self._cache.grown(target.path, entry, body)
                )
            except OriginAway:
                # A replaced transcoder has another address: the next look-up asks the directory.
                self._origins.forget(target.stream)
                if time.monotonic() >= give_up:
                    raise
            await asyncio.sleep(_RETRY_SECONDS * random.uniform(0.5, 1))


def _fresh_seconds(target: Target, entry: Entry) -> float:
    if entry.status == 200:
        return target.fresh_seconds
    return policy.ERROR_SECONDS if entry.status < 500 else 0.0


async def _send(found: Answer, scope: Scope, send: Send) -> None:
    status, headers, body = found
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
