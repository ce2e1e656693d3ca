"""An origin and a recorder for tests: a real HTTP server that counts what it is asked for, and can be slow or broken."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.support.servers import eventually, free_port

MASTER = '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",URI="audio/media.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=1\n720p/media.m3u8\n'
MEDIA = (
    '#EXTM3U\n#EXT-X-MAP:URI="init.mp4?v=ab"\n#EXT-X-PART:DURATION=0.2,URI="1.0.m4s"\n#EXTINF:2,\n0.m4s\n'
    '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="1.1.m4s"\n'
) + "#" * 400
MPD = '<MPD><SegmentTemplate initialization="720p/init.mp4?v=ab" media="720p/$Number$.m4s"/></MPD>'
PART_BYTES = 20_000


@dataclass
class Origin:
    """`url` is its base; `asked` counts requests by path and query, `headers` keeps the last ones by path."""

    url: str
    asked: Counter[str] = field(default_factory=Counter)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    delay: float = 0.0
    grow: asyncio.Event = field(default_factory=asyncio.Event)
    cut: bool = False
    part_bytes: int = PART_BYTES

    async def hls(self, request: Request) -> Response:
        self.note(request)
        await asyncio.sleep(self.delay)
        file = request.url.path.rsplit("/", 1)[-1]
        if file == "master.m3u8":
            return Response(MASTER, media_type="application/vnd.apple.mpegurl")
        if file == "media.m3u8":
            return Response(MEDIA, media_type="application/vnd.apple.mpegurl")
        if file == "manifest.mpd":
            return Response(MPD, media_type="application/dash+xml")
        if file.startswith("9"):
            return StreamingResponse(self.growing(), media_type="video/mp4")
        if file.startswith("8"):
            await asyncio.sleep(30)
        if file.startswith("404"):
            return Response("no", 404)
        return Response(bytes(self.part_bytes), media_type="video/mp4")

    async def growing(self) -> AsyncIterator[bytes]:
        yield b"first"
        await self.grow.wait()
        if self.cut:
            raise ConnectionError
        yield b"second"

    def note(self, request: Request) -> None:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        self.asked[path] += 1
        self.headers[path] = dict(request.headers)

    async def push(self, socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text('{"hello": 1}')
        await socket.send_bytes(b"init")
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                text = await socket.receive_text()
                if text == "bye":
                    await socket.close(4002)
                    return
                await socket.send_bytes(text.encode())

    async def recorder(self, request: Request) -> Response:
        self.note(request)
        if request.method == "POST":
            return JSONResponse({"body": (await request.body()).decode()}, 202, {"Location": "/api/v1/clips/c1"})
        if request.url.path.endswith(".m3u8"):
            return Response(
                MEDIA, media_type="application/vnd.apple.mpegurl", headers={"Cache-Control": "public, max-age=1"}
            )
        if request.headers.get("range"):
            return Response(b"ab", 206, {"Content-Range": "bytes 0-1/100", "Accept-Ranges": "bytes"})
        return Response(b"x" * 300_000, media_type="video/mp4")


@contextlib.asynccontextmanager
async def running_origin() -> AsyncIterator[Origin]:
    """One on a port of its own."""
    port = free_port()
    origin = Origin(f"http://127.0.0.1:{port}")
    methods = ["GET", "HEAD", "POST"]
    app = Starlette(
        routes=[
            Route("/hls/{rest:path}", origin.hls),
            WebSocketRoute("/push/{namespace}/{name}", origin.push),
            *[Route(f"/{root}/{{rest:path}}", origin.recorder, methods=methods) for root in ("vod", "thumbs")],
            Route("/api/v1/clips", origin.recorder, methods=methods),
            Route("/api/v1/clips/{clip}", origin.recorder, methods=methods),
        ]
    )
    config = uvicorn.Config(app, port=port, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    try:
        yield origin
    finally:
        server.should_exit = True
        await serving
