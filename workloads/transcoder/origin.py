"""The origin: `/hls/<ns>/<name>/…` of one stream, as a plain ASGI application.

Its clients are edges, a few per stream, each coalescing its viewers. Playlist requests with `_HLS_msn` and requests for
the hinted part are held until the media is there (RFC 8216bis, 6.2.5).
"""

import math
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from workloads.common.problem import Problem
from workloads.transcoder import playlist
from workloads.transcoder.command import AUDIO
from workloads.transcoder.metrics import Metrics
from workloads.transcoder.rendition import Rendition
from workloads.transcoder.stream import Stream

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
HOLD_TARGETS = 3
_MAX_MSN_AHEAD = 2
_NAME = re.compile(r"(?P<msn>[0-9]{1,15})(?:\.(?P<part>[0-9]{1,5}))?\.m4s")
_NUMBER = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer; `kind` is a label for metrics."""

    kind: str
    body: bytes
    content_type: str
    cache_control: str


@dataclass(frozen=True, slots=True)
class Reload:
    """Delivery directives of a media playlist request."""

    msn: int | None = None
    part: int | None = None
    skip: bool = False


class Origin:
    """ASGI application; its path begins with `/hls/`."""

    def __init__(self, stream: Stream, metrics: Metrics) -> None:
        self._stream = stream
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD."""
        try:
            if scope["method"] not in ("GET", "HEAD"):
                raise Problem(405, "method_not_allowed", "The origin is read only.")
            reply = await self.reply(scope["path"], scope["query_string"].decode("latin-1"))
        except Problem as problem:
            await self._refuse(problem, scope, receive, send)
            return
        stream = self._stream.spec.stream
        self._metrics.origin_requests.labels(stream, reply.kind, "200").inc()
        self._metrics.origin_bytes.labels(stream).inc(len(reply.body))
        headers = [
            (b"content-type", reply.content_type.encode()),
            (b"content-length", b"%d" % len(reply.body)),
            (b"cache-control", reply.cache_control.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})

    async def _refuse(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        if self._stream.retired:
            # A bad gateway sends the edge back to the directory; a 404 or 503 would be the viewers' answer.
            problem = Problem(502, "moved", "Another transcoder has this stream now.", retry_after_seconds=1)
        self._metrics.origin_requests.labels(self._stream.spec.stream, "refused", str(problem.status)).inc()
        response = problem.response()
        response.headers["cache-control"] = "no-store"
        await response(scope, receive, send)

    async def reply(self, path: str, query: str = "") -> Reply:
        """The answer to a path with its query; Problem when there is none."""
        prefix = f"/hls/{self._stream.spec.stream}/"
        if not path.startswith(prefix):
            raise Problem(404, "unknown_stream", "This pod serves another stream.")
        rest = path[len(prefix) :]
        if rest == "master.m3u8":
            return await self._master()
        name, _, file = rest.partition("/")
        if file == "media.m3u8":
            await self._hold(name)
        rendition = self._stream.renditions.get(name)
        if rendition is None or rendition.init is None:
            raise Problem(404, "not_live", f"There is no rendition {name!r} (yet).", retry_after_seconds=1)
        if file == "media.m3u8":
            return await self._media(rendition, parse_reload(query))
        if file == "init.mp4":
            return self._init(rendition, query)
        match = _NAME.fullmatch(file)
        if not match:
            raise Problem(404, "unknown_path", "There is nothing under this name.")
        part = match["part"]
        return await self._chunk(rendition, int(match["msn"]), int(part) if part else None)

    async def _hold(self, name: str) -> None:
        """Hold a playlist request while the first segment is on its way.

        Players give up on a playlist without segments, or on a few refusals in a row, and both would happen at the
        start of a broadcast and whenever this pod replaces another.
        """
        stream = self._stream
        if not stream.expecting:
            return
        seconds = HOLD_TARGETS * stream.ladder.cut_seconds
        if not name:
            await stream.wait("", lambda: stream.playable, seconds)
        elif name == AUDIO or name in {rung.name for rung in stream.ladder.rungs}:
            await stream.wait(name, lambda: stream.has_segments(name), seconds)

    async def _master(self) -> Reply:
        await self._hold("")
        variants = [variant for variant in self._stream.variants() if variant.rendition.init]
        if not variants or not self._stream.playable:
            raise Problem(404, "not_live", "Nobody has published to this stream yet.", retry_after_seconds=1)
        text = playlist.master(variants, self._stream.renditions.get(AUDIO), self._stream.ladder.audio_kbps)
        return Reply("master", text.encode(), PLAYLIST_TYPE, "public, max-age=1")

    async def _media(self, rendition: Rendition, reload: Reload) -> Reply:
        cut = self._stream.ladder.cut_seconds
        if reload.msn is not None:
            msn, part = reload.msn, reload.part
            check_ahead(rendition, msn, part)
            hold = HOLD_TARGETS * playlist.target_duration(rendition, cut)
            if not await self._stream.wait(rendition.name, lambda: rendition.has(msn, part), hold):
                raise Problem(503, "not_yet", "The playlist did not grow in time.", retry_after_seconds=1)
        siblings = [other for other in self._stream.renditions.values() if other is not rendition]
        text = playlist.media(rendition, cut_seconds=cut, siblings=siblings, skip=reload.skip)
        cache = "no-store" if reload.msn is None else "public, max-age=1"
        return Reply("playlist", text.encode(), PLAYLIST_TYPE, cache)

    def _init(self, rendition: Rendition, query: str) -> Reply:
        version = parse_qs(query).get("v", [rendition.init_version])[0]
        init = rendition.inits.get(version)
        if init is None:
            raise Problem(404, "gone", "This init segment is not kept any more.")
        cache = "public, max-age=3600, immutable" if "v=" in query else "no-store"
        return Reply("init", init.data, _media_type(rendition), cache)

    async def _chunk(self, rendition: Rendition, msn: int, part: int | None) -> Reply:
        if part is not None and self._is_hinted(rendition, msn, part):
            hold = HOLD_TARGETS * self._stream.ladder.cut_seconds
            await self._stream.wait(rendition.name, lambda: not self._is_hinted(rendition, msn, part), hold)
        segment = rendition.segment(msn)
        unfinished = msn >= rendition.open_msn and part is None
        if segment is None or unfinished or (part is not None and part >= len(segment.parts)):
            raise Problem(404, "no_such_media", "This segment or part is gone, or not there yet.")
        body = segment.data if part is None else segment.parts[part].data
        kind = "segment" if part is None else "part"
        return Reply(kind, body, _media_type(rendition), "public, max-age=3600, immutable")

    @staticmethod
    def _is_hinted(rendition: Rendition, msn: int, part: int) -> bool:
        """Whether it is the part that the preload hint promises."""
        return msn == rendition.open_msn and part == (len(rendition.current.parts) if rendition.current else 0)


def parse_reload(query: str) -> Reload:
    """The delivery directives in a query string; Problem 400 when they are malformed."""
    values = {key: items[-1] for key, items in parse_qs(query).items()}
    numbers: dict[str, int] = {}
    for name in ("_HLS_msn", "_HLS_part"):
        value = values.get(name)
        if value is not None:
            if not _NUMBER.fullmatch(value):
                error = {"field": name, "reason": "must be a decimal number"}
                raise Problem(400, "invalid_directive", f"{name} must be a decimal number.", errors=[error])
            numbers[name] = int(value)
    if "_HLS_part" in numbers and "_HLS_msn" not in numbers:
        error = {"field": "_HLS_part", "reason": "needs _HLS_msn"}
        raise Problem(400, "invalid_directive", "_HLS_part needs _HLS_msn.", errors=[error])
    return Reload(numbers.get("_HLS_msn"), numbers.get("_HLS_part"), values.get("_HLS_skip") in ("YES", "v2"))


def check_ahead(rendition: Rendition, msn: int, part: int | None) -> None:
    """Problem 400 when the request is further ahead than a client may be."""
    limit = max(3, math.ceil(3 / rendition.part_seconds)) if rendition.part_seconds >= 1 else 3
    limit = max(limit, math.ceil(1 / rendition.part_seconds))
    growing = len(rendition.current.parts) if rendition.current else 0
    too_far = msn > rendition.open_msn + _MAX_MSN_AHEAD
    if too_far or (msn == rendition.open_msn and part is not None and part > growing + limit):
        error = {"field": "_HLS_msn", "reason": f"the next segment is {rendition.open_msn}"}
        raise Problem(400, "too_far_ahead", "The request is too far ahead of the live edge.", errors=[error])


def _media_type(rendition: Rendition) -> str:
    return "video/mp4" if rendition.video else "audio/mp4"
