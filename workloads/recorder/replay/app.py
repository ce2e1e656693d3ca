"""`/vod/…` and `/thumbs/…`: recordings for viewers. Any pod answers for any recording, from the store alone.

Names of media never change their bytes, so caches may keep them; playlists of what still grows live for a second.
"""

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from workloads.common.problem import Problem
from workloads.recorder import layout, playlists, room
from workloads.recorder.finish import is_portrait
from workloads.recorder.index import Head
from workloads.recorder.metrics import Metrics
from workloads.recorder.replay.library import Library, View
from workloads.recorder.replay.paths import Target, classify, parse_range
from workloads.recorder.storage import ObjectMissing, Storage, StorageAway

MAX_EVENTS = 1000
_PIECE = 1024 * 1024
_IMMUTABLE = "public, max-age=86400, immutable"
_ENDED, _GROWING = "public, max-age=30", "public, max-age=1"

logger = logging.getLogger(__name__)


class Replay:
    """The endpoint."""

    def __init__(self, storage: Storage, library: Library, metrics: Metrics) -> None:
        self._storage = storage
        self._library = library
        self._metrics = metrics

    async def get(self, request: Request) -> Response:
        """Whatever the path names; Problem 404, 416, or 503 while the store is away."""
        target = classify(request.url.path)
        kind = target.kind if target else "unknown"
        try:
            if target is None:
                raise Problem(404, "unknown_path", "There is nothing under this path.")
            response = await self._answer(target, request)
        except ObjectMissing:
            response = Problem(404, "no_such_media", "It is not there, or not any more.").response()
        except StorageAway as error:
            self._metrics.storage_failures.inc()
            logger.warning("the store does not answer a viewer: %s", error)
            response = Problem(503, "storage_away", "The store is away.", retry_after_seconds=1).response()
        except Problem as problem:
            response = problem.response()
        response.headers.setdefault("cache-control", "no-store")
        response.headers["access-control-allow-origin"] = "*"
        response.headers["x-content-type-options"] = "nosniff"
        self._metrics.requests.labels(kind, str(response.status_code)).inc()
        return response

    async def _answer(self, target: Target, request: Request) -> Response:
        if target.kind == "list":
            heads = await self._library.recordings(target.stream)
            return JSONResponse({"items": [_public(head) for head in heads]}, headers={"cache-control": _GROWING})
        if target.kind == "latest":
            data = await self._storage.get(target.object)
            return _text(data, target.object, "public, max-age=5")
        if target.kind in ("clip", "object"):
            return await self._object(target.object, request)
        if target.recording is None:
            raise Problem(404, "unknown_path", "There is nothing under this path.")
        return await self._made(target, target.recording, request)

    async def _made(self, target: Target, recording: layout.Recording, request: Request) -> Response:
        """What is written when a recording ends, and made anew each time while it grows."""
        view = await self._library.view(recording)
        cache = _ENDED if view.head.ended else _GROWING
        timeline = view.timeline
        if target.kind == "recording.json":
            return JSONResponse(_public(view.head), headers={"cache-control": cache})
        if target.kind == "events":
            return await self._events(recording, request, cache)
        if target.kind.startswith("chapters"):
            found = room.chapters(await self._library.moments(recording), timeline)
            if target.kind.endswith("json"):
                return _text(msgspec.json.encode(found), target.kind, cache)
            return _text(_chapters_vtt(found).encode(), target.kind, cache)
        if not timeline.reference:
            raise Problem(404, "not_yet", "Nothing of this recording is stored yet.", retry_after_seconds=1)
        if target.kind == "master.m3u8":
            return _text(playlists.master(timeline).encode(), target.kind, cache)
        if target.kind == "sprites.vtt":
            return _text(playlists.sprites(timeline, portrait=is_portrait(timeline)).encode(), target.kind, cache)
        return _text(_media(view, target.rung).encode(), "media.m3u8", cache)

    async def _events(self, recording: layout.Recording, request: Request, cache: str) -> Response:
        first, last = _number(request, "from_ms", 0), _number(request, "to_ms", 1 << 53)
        found = [moment for moment in await self._library.moments(recording) if first <= moment.at_ms < last]
        body: dict[str, Any] = {"items": [msgspec.to_builtins(moment) for moment in found[:MAX_EVENTS]]}
        if len(found) > MAX_EVENTS:
            body["next_from_ms"] = found[MAX_EVENTS].at_ms
        return JSONResponse(body, headers={"cache-control": cache})

    async def _object(self, path: str, request: Request) -> Response:
        """An object whole, or the range that was asked for; a large one is passed on in pieces."""
        cache = _IMMUTABLE if layout.is_immutable(path) else _GROWING
        asked = parse_range(request.headers.get("range", ""))
        if asked is None and not path.endswith(".mp4"):
            return _text(await self._storage.get(path), path, cache)
        start, end = asked or (0, None)
        try:
            if start is None or end is not None:
                limit = end if start is None else min(end or 0, start + 16 * _PIECE)
                piece = await self._storage.get_piece(path, start, limit)
            else:
                piece = await self._storage.get_piece(path, start, start + _PIECE)
        except ValueError as error:
            raise Problem(416, "no_such_range", f"There is {error}.") from error
        stop = piece.start + len(piece.data) if start is None or end is not None else piece.total
        headers = {
            "accept-ranges": "bytes",
            "cache-control": cache,
            "content-length": str(stop - piece.start),
        }
        if asked is not None:
            headers["content-range"] = f"bytes {piece.start}-{stop - 1}/{piece.total}"
        body = self._pieces(path, piece.start, stop, piece.data)
        return StreamingResponse(body, 206 if asked else 200, headers, layout.content_type(path))

    async def _pieces(self, path: str, at: int, stop: int, first: bytes) -> AsyncIterator[bytes]:
        yield first
        at += len(first)
        while at < stop:
            piece = await self._storage.get_piece(path, at, min(stop, at + _PIECE))
            yield piece.data
            at += len(piece.data)


def _media(view: View, rung: str) -> str:
    if rung not in view.timeline.renditions:
        raise Problem(404, "unknown_rendition", f"There is no rendition {rung!r}.")
    window = None if view.head.ended else view.head.dvr_window_seconds
    return playlists.media(view.timeline, rung, window_seconds=window)


def _public(head: Head) -> dict[str, Any]:
    base = f"/vod/{head.recording.root}"
    return {
        "id": head.id,
        "stream": head.stream,
        "title": head.title,
        "state": head.state,
        "started_ms": head.started_ms,
        "ended_ms": head.ended_ms,
        "duration_ms": head.duration_ms,
        "expires_ms": head.expires_ms,
        "master": f"{base}/master.m3u8",
        "sprites": f"{base}/sprites.vtt",
        "events": f"{base}/events",
        "chapters": f"{base}/chapters.vtt",
    }


def _chapters_vtt(chapters: list[room.Chapter]) -> str:
    def line(chapter: room.Chapter) -> str:
        title = chapter.title.replace("-->", "").replace("\n", " ").strip()
        return f"{playlists.clock(chapter.start_ms / 1000)} --> {playlists.clock(chapter.end_ms / 1000)}\n{title}\n"

    return "\n".join(["WEBVTT\n", *map(line, chapters)])


def _number(request: Request, name: str, default: int) -> int:
    value = request.query_params.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdecimal() and len(value) <= 16):
        error = {"field": name, "reason": "must be a whole number of milliseconds"}
        raise Problem(422, "invalid_request", json.dumps(name) + " must be a number.", errors=[error])
    return int(value)


def _text(data: bytes, name: str, cache: str) -> Response:
    return Response(data, headers={"cache-control": cache}, media_type=layout.content_type(name))
