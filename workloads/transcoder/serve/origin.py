"""The origin: `/hls/<ns>/<name>/…` of one stream, as a plain ASGI application.

Its clients are edges, a few per stream, each coalescing its viewers. Playlist requests with `_HLS_msn` and requests for
the hinted part are held until the media is there (RFC 8216bis, 6.2.5).
"""

import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from workloads.common.problem import Problem
from workloads.transcoder.encode.command import AUDIO
from workloads.transcoder.metrics import Metrics
from workloads.transcoder.package import captions, dash, playlist
from workloads.transcoder.package.rendition import Part, Rendition
from workloads.transcoder.stream import Stream

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
MANIFEST_TYPE = "application/dash+xml"
HOLD_TARGETS = 3
_IMMUTABLE = "public, max-age=3600, immutable"
_MAX_MSN_AHEAD = 2
_NAME = re.compile(r"(?P<msn>[0-9]{1,15})(?:\.(?P<part>[0-9]{1,5}))?\.m4s")
_CAPTIONS_NAME = re.compile(r"([0-9]{1,15})\.vtt")
_NUMBER = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer; `kind` is a label for metrics. What is `growing` follows the body piece by piece."""

    kind: str
    body: bytes
    content_type: str
    cache_control: str
    growing: AsyncIterator[bytes] | None = None


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
        if reply.growing is not None:
            await self._send_growing(reply, reply.growing, scope, send)
            return
        self._metrics.origin_bytes.labels(stream).inc(len(reply.body))
        headers = [
            (b"content-type", reply.content_type.encode()),
            (b"content-length", b"%d" % len(reply.body)),
            (b"cache-control", reply.cache_control.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})

    async def _send_growing(self, reply: Reply, growing: AsyncIterator[bytes], scope: Scope, send: Send) -> None:
        """A segment as its parts are made: without a length, and cut off if it does not come to its end."""
        headers = [(b"content-type", reply.content_type.encode()), (b"cache-control", reply.cache_control.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["method"] != "HEAD":
            async for data in growing:
                self._metrics.origin_bytes.labels(self._stream.spec.stream).inc(len(data))
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

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
        if rest == "manifest.mpd":
            return await self._manifest()
        name, _, file = rest.partition("/")
        if name.startswith(captions.PREFIX):
            return await self._captions(name.removeprefix(captions.PREFIX), file, parse_reload(query))
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
        stream = self._stream
        audio = stream.renditions.get(AUDIO)
        text = playlist.master(variants, audio, stream.ladder.audio_kbps, stream.captions.languages)
        return Reply("master", text.encode(), PLAYLIST_TYPE, "public, max-age=1")

    async def _manifest(self) -> Reply:
        if self._stream.protector:
            raise Problem(404, "protected", "A protected stream has no DASH manifest.")
        await self._hold("")
        stream = self._stream
        variants = [variant for variant in stream.variants() if variant.rendition.init]
        if not variants or not stream.playable:
            raise Problem(404, "not_live", "Nobody has published to this stream yet.", retry_after_seconds=1)
        text = dash.manifest(
            variants,
            stream.renditions.get(AUDIO),
            cut_seconds=stream.ladder.cut_seconds,
            audio_kbps=stream.ladder.audio_kbps,
            now=stream.wall(),
            window_seconds=stream.window_seconds,
        )
        return Reply("manifest", text.encode(), MANIFEST_TYPE, "no-store")

    async def _media(self, rendition: Rendition, reload: Reload) -> Reply:
        cut = self._stream.ladder.cut_seconds
        if reload.msn is not None:
            msn, part = reload.msn, reload.part
            check_ahead(rendition, msn, part)
            hold = HOLD_TARGETS * playlist.target_duration(rendition, cut)
            if not await self._stream.wait(rendition.name, lambda: rendition.has(msn, part), hold):
                raise Problem(503, "not_yet", "The playlist did not grow in time.", retry_after_seconds=1)
        siblings = [other for other in self._stream.renditions.values() if other is not rendition]
        first = next(iter(rendition.segments), rendition.current)
        cues = self._stream.cues.since(first.start if first else 0.0)
        text = playlist.media(
            rendition,
            cut_seconds=cut,
            siblings=siblings,
            skip=reload.skip,
            cues=cues,
            lead_seconds=self._stream.lead.seconds,
        )
        cache = "no-store" if reload.msn is None else "public, max-age=1"
        return Reply("playlist", text.encode(), PLAYLIST_TYPE, cache)

    async def _captions(self, language: str, file: str, reload: Reload) -> Reply:
        """The playlist of a language's captions, or one of its segments."""
        stream = self._stream
        rendition = stream.reference
        known = next((item for item in stream.captions.languages if item.lower() == language), None)
        match = _CAPTIONS_NAME.fullmatch(file)
        if rendition is None or known is None or not (match or file == "media.m3u8"):
            raise Problem(404, "unknown_path", "There is nothing under this name.")
        if match is None:
            if reload.msn is not None:
                msn = reload.msn
                check_ahead(rendition, msn, None)
                await stream.wait(rendition.name, lambda: rendition.has(msn, None), self._hold_seconds)
            text = captions.media(rendition, stream.ladder.cut_seconds)
            return Reply("playlist", text.encode(), PLAYLIST_TYPE, "no-store")
        segment = rendition.segment(int(match[1]))
        if segment is None or segment is rendition.current:
            raise Problem(404, "no_such_media", "This segment is gone, or not there yet.")
        shown = stream.captions.between(segment.start, segment.start + segment.duration, known)
        epoch = rendition.epochs.get(segment.discontinuity_sequence, segment.start)
        text = captions.segment_text(segment, epoch, shown)
        return Reply("captions", text.encode(), captions.CONTENT_TYPE, _IMMUTABLE)

    @property
    def _hold_seconds(self) -> float:
        return HOLD_TARGETS * self._stream.ladder.cut_seconds

    def _init(self, rendition: Rendition, query: str) -> Reply:
        version = parse_qs(query).get("v", [rendition.init_version])[0]
        init = rendition.inits.get(version)
        if init is None:
            raise Problem(404, "gone", "This init segment is not kept any more.")
        cache = _IMMUTABLE if "v=" in query else "no-store"
        return Reply("init", init.data, _media_type(rendition), cache)

    async def _chunk(self, rendition: Rendition, msn: int, part: int | None) -> Reply:
        if part is not None and self._is_hinted(rendition, msn, part):
            hold = HOLD_TARGETS * self._stream.ladder.cut_seconds
            await self._stream.wait(rendition.name, lambda: not self._is_hinted(rendition, msn, part), hold)
        if part is None and msn == rendition.open_msn and not rendition.protector:
            return await self._growing(rendition, msn)
        segment = rendition.segment(msn)
        whole = part is not None or msn < rendition.open_msn
        if segment is None or not whole or (part is not None and part >= len(segment.parts)):
            raise Problem(404, "no_such_media", "This segment or part is gone, or not there yet.")
        body = segment.data if part is None else segment.parts[part].data
        if rendition.protector:
            body = rendition.protector.sent(body, msn)
        kind = "segment" if part is None else "part"
        return Reply(kind, body, _media_type(rendition), _IMMUTABLE)

    async def _growing(self, rendition: Rendition, msn: int) -> Reply:
        """The segment that is being made, from its first part on."""
        hold = HOLD_TARGETS * self._stream.ladder.cut_seconds

        async def parts() -> AsyncIterator[bytes]:
            sent = 1
            while segment := rendition.segment(msn):
                for part in segment.parts[sent:]:
                    yield part.data
                sent = len(segment.parts)
                if msn < rendition.open_msn:
                    return
                if not await self._stream.wait(rendition.name, partial(_more, rendition, msn, sent), hold):
                    break
            raise ConnectionError(f"segment {msn} of {rendition.name} did not come to its end")

        await self._stream.wait(rendition.name, lambda: rendition.segment(msn) is not None, hold)
        begun = rendition.segment(msn)
        if begun is None or not begun.parts:
            raise Problem(404, "no_such_media", "This segment has not begun.")
        return Reply("segment", b"", _media_type(rendition), _IMMUTABLE, _after(begun.parts[0], parts()))

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


def _more(rendition: Rendition, msn: int, sent: int) -> bool:
    """Whether more of a segment can be sent, or nothing more will come."""
    segment = rendition.segment(msn)
    return segment is None or len(segment.parts) > sent or msn < rendition.open_msn


async def _after(first: Part, following: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first.data
    async for data in following:
        yield data


def _media_type(rendition: Rendition) -> str:
    return "video/mp4" if rendition.video else "audio/mp4"
