"""`/vod/…`, `/thumbs/…` and `/api/v1/clips`: handed through to the recorder, after the stream's access was checked.

An Ingress may send these paths to the recorder itself; a channel's own host sends everything here. Pictures are checked
like media, since they show it. Bodies are passed on in pieces: a recording may be larger than the memory.
"""

import logging
import re
import time
from collections.abc import AsyncIterator

import aiohttp
from starlette.responses import Response, StreamingResponse

from workloads.common.access.gate import Grant
from workloads.common.access.viewer import Viewer
from workloads.common.problem import Problem
from workloads.edge.deliver.policy import is_stream_id
from workloads.edge.deliver.rewrite import with_query
from workloads.edge.deliver.upstream import OriginAway, Upstream
from workloads.edge.serve import answers
from workloads.edge.serve.door import Door
from workloads.edge.serve.media import Receive, Scope, Send

PREFIXES = ("/vod/", "/thumbs/", "/api/v1/clips")
MAX_BODY_BYTES = 64 * 1024
MAX_PLAYLIST_BYTES = 4 * 1024 * 1024
_PATH = re.compile(r"/(?:vod|thumbs)/(?P<stream>[^/]+/[^/]+)(?:/[A-Za-z0-9._~-]+)*/?")
_CLIPS = re.compile(r"/api/v1/clips(?:/[A-Za-z0-9-]{1,64})?")
_QUERY = re.compile(r"[A-Za-z0-9_=&.%-]*")
_PASSED = ("accept", "authorization", "content-type", "if-none-match", "if-range", "range")
_RETURNED = (
    "accept-ranges", "cache-control", "content-length", "content-range", "content-type", "etag", "last-modified",
    "location", "retry-after", "www-authenticate",
)  # fmt: skip

logger = logging.getLogger(__name__)


class Recordings:
    """ASGI application; without an address of the recorder it answers 404."""

    def __init__(self, base: str, upstream: Upstream, door: Door) -> None:
        self._base = base
        self._upstream = upstream
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request through."""
        viewer = self._door.viewer(scope)
        try:
            response = await self._answer(scope, receive, viewer)
        except Problem as problem:
            status, headers, body = answers.refusal(problem, viewer.origin)
            response = Response(body, status)
            response.raw_headers = headers
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, viewer: Viewer) -> Response:
        path, method = scope["path"], scope["method"]
        if method == "OPTIONS":
            status, headers, body = answers.preflight(viewer.origin)
            response = Response(body, status)
            response.raw_headers = headers
            return response
        if method not in (("GET", "HEAD", "POST") if path.startswith("/api/") else ("GET", "HEAD")):
            raise Problem(405, "method_not_allowed", "Recordings are read only.")
        grant = await self._admit(path, viewer)
        if not self._base:
            raise Problem(404, "no_recordings", "Nothing is recorded here.")
        body_in = await _body(receive) if method == "POST" else b""
        headers_in = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name.decode("latin-1") in _PASSED
        }
        query = scope["query_string"].decode("latin-1")
        query = "&".join(item for item in query.split("&") if item and not item.startswith(("token=", "as_country=")))
        url = f"{self._base}{path}" + (f"?{query}" if query and _QUERY.fullmatch(query) else "")
        try:
            answer = await self._upstream.open(method, url, headers=headers_in, body=body_in)
        except OriginAway as error:
            logger.warning("no answer from the recorder: %s", error)
            detail = "Recordings cannot be reached now, try again."
            raise Problem(503, "recorder_away", detail, retry_after_seconds=1) from error
        return await self._pass_on(answer, scope, viewer, grant)

    async def _admit(self, path: str, viewer: Viewer) -> Grant | None:
        """The viewer's grant; None for clips, which the recorder checks itself."""
        if _CLIPS.fullmatch(path):
            return None
        match = _PATH.fullmatch(path)
        if match is None or ".." in path.split("/") or not is_stream_id(match["stream"]):
            raise Problem(404, "unknown_path", "There is nothing under this path.")
        return await self._door.admit(match["stream"], viewer)

    async def _pass_on(
        self, answer: aiohttp.ClientResponse, scope: Scope, viewer: Viewer, grant: Grant | None
    ) -> Response:
        headers = {name: answer.headers[name] for name in _RETURNED if name in answer.headers}
        headers["x-content-type-options"] = "nosniff"
        extra = answers.PUBLIC.cors
        query = b""
        if grant is not None and grant.rules.restricted:
            dress = answers.dress_of(grant, viewer)
            extra, query = dress.cors, answers.carried_query(viewer, grant)
            headers["cache-control"] = headers.get("cache-control", "no-store").replace("public", "private")
            if grant.cookie:
                path = scope["path"].split("/")[1]
                name, value = answers.cookie(grant, time.time(), secure=self._door.is_secure(scope), root=path)
                extra = [*extra, (name, value)]
        if query and "mpegurl" in headers.get("content-type", "") and scope["method"] == "GET" and answer.status == 200:
            body = with_query(await _whole(answer), query)
            headers["content-length"] = str(len(body))
            response: Response = Response(body, answer.status, headers)
        else:
            response = StreamingResponse(_pieces(answer), answer.status, headers)
        for name, value in extra:
            response.raw_headers.append((name, value))
        return response


async def _pieces(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async with answer:
        async for piece in answer.content.iter_any():
            yield piece


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    async with answer:
        body = await answer.content.read(MAX_PLAYLIST_BYTES + 1)
        while len(body) <= MAX_PLAYLIST_BYTES and not answer.content.at_eof():
            body += await answer.content.read(MAX_PLAYLIST_BYTES)
        if len(body) > MAX_PLAYLIST_BYTES:
            raise Problem(503, "recorder_away", "The playlist is too large.")
        return body


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Problem(400, "incomplete", "The request ended early.")
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise Problem(413, "too_large", f"The body is larger than {MAX_BODY_BYTES} bytes.")
        if not message.get("more_body"):
            return bytes(body)
