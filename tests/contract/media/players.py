"""Real players in a real browser: a server that gives them a page, their code and the origin, and what they show."""

import asyncio
import json
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from media_plane import ROOT, free_port
from playwright.async_api import Page, async_playwright

from hack.cli.web import node_bin
from hack.testsource.barcode import COLUMNS, ROWS, STRIP_HEIGHT, decode
from tests.e2e.browser import FLAGS, READ_CELLS

MODULES = ROOT / "workloads" / "web" / "node_modules"
LIBRARIES = {
    "hls.js": MODULES / "hls.js" / "dist" / "hls.js",
    "dash.js": MODULES / "dashjs" / "dist" / "modern" / "umd" / "dash.all.debug.js",
    "shaka.js": MODULES / "shaka-player" / "dist" / "shaka-player.compiled.js",
}
START = {
    "hls": """
      const hls = window.hls = new Hls({lowLatencyMode: true, enableWorker: false, ...(window.config || {})});
      hls.on(Hls.Events.ERROR, (_, data) => problems.push(`${data.type} ${data.details} ${data.fatal}`));
      hls.on(Hls.Events.FRAG_PARSING_METADATA, (_, data) => metadata.push(...data.samples.map(sample =>
        ({pts: sample.pts, type: sample.type, text: new TextDecoder().decode(sample.data)}))));
      hls.loadSource(source); hls.attachMedia(video);""",
    "dash": """
      const player = window.dash = dashjs.MediaPlayer().create();
      player.on(dashjs.MediaPlayer.events.ERROR, event => problems.push(JSON.stringify(event.error)));
      player.updateSettings({streaming: {delay: {liveDelay: 2}, liveCatchup: {enabled: true}}});
      player.initialize(video, source, true);""",
    "push": """
      const player = window.push = playWithPush(video, source, {
        onQualities: list => { window.qualities = list; }, onPlaying: () => {}, onStalled: () => {}});""",
    "shaka": """
      shaka.polyfill.installAll();
      const player = window.shakaPlayer = new shaka.Player();
      player.addEventListener('error', event => problems.push(`shaka ${event.detail.code} ${event.detail.data}`));
      player.configure({streaming: {lowLatencyMode: true}, ...(window.config || {})});
      player.attach(video).then(() => player.load(source))
        .then(() => video.play(), error => problems.push(`shaka ${error.code} ${error.data}`));""",
}
PAGE = """<!doctype html><meta charset=utf-8><title>player</title>
<video id=video muted autoplay playsinline width=640 height=360></video>
<script>window.problems = []; window.metadata = []; window.config = %(config)s;</script>
<script src="/lib/%(library)s"></script>
<script>const video = document.getElementById('video'); const source = %(source)r;
%(start)s</script>"""


def push_player() -> str:
    """The web application's own push engine as one script."""
    folder = ROOT / "workloads" / "web" / "src" / "player"
    code = "".join((folder / name).read_text() for name in ("pushLatency.ts", "pushEngine.ts"))
    code = re.sub(r"^import [^;]*;\n", "", code, flags=re.M)
    strip = (
        "const {stripTypeScriptTypes} = require('node:module'); const code = require('fs').readFileSync(0, 'utf8');"
        "process.stdout.write(stripTypeScriptTypes(code))"
    )
    made = subprocess.run(
        [str(node_bin() / "node"), "-e", strip], input=code, capture_output=True, check=True, text=True, timeout=30
    ).stdout
    return re.sub(r"^export ", "", made, flags=re.M)


class PlayerServer:
    """Pages, libraries, `/time`, and everything else from the origin, passed on as it comes."""

    def __init__(self, origin: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._origin = origin
        self._client: aiohttp.ClientSession | None = None
        self.requests: list[str] = []
        self.wrong_keys = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator["PlayerServer"]:
        """Serve until the context ends."""
        application = web.Application()
        application.router.add_get("/page/{kind}", self._page)
        application.router.add_get("/lib/{name}", self._library)
        application.router.add_get("/time", self._time)
        application.router.add_get("/keys/{path:.*}", self._keys)
        application.router.add_post("/keys/{path:.*}", self._keys)
        application.router.add_get("/push/{path:.*}", self._socket)
        application.router.add_get("/{path:.*}", self._proxy)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        self._client = aiohttp.ClientSession(auto_decompress=False)
        try:
            yield self
        finally:
            await self._client.close()
            await runner.cleanup()

    async def _page(self, request: web.Request) -> web.Response:
        kind = request.match_info["kind"]
        values = {
            "library": f"{kind}.js",
            "source": request.query["source"],
            "start": START[kind],
            "config": request.query.get("config", "{}"),
        }
        return web.Response(text=PAGE % values, content_type="text/html")

    async def _library(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name == "push.js":
            return web.Response(text=await asyncio.to_thread(push_player), content_type="text/javascript")
        return web.FileResponse(LIBRARIES[name])

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        """Passes the origin's messages on, as an edge does."""
        assert self._client is not None
        response = web.WebSocketResponse()
        await response.prepare(request)
        async with self._client.ws_connect(self._origin + str(request.rel_url), max_msg_size=0) as upstream:

            async def back() -> None:
                async for message in response:
                    await upstream.send_str(message.data)

            sending = asyncio.create_task(back())
            async for message in upstream:
                if message.type == aiohttp.WSMsgType.BINARY:
                    await response.send_bytes(message.data)
                else:
                    await response.send_str(message.data)
            sending.cancel()
        return response

    async def _time(self, _: web.Request) -> web.Response:
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
        return web.Response(text=stamp)

    async def _keys(self, request: web.Request) -> web.Response:
        """Keys and licences of the origin; with `wrong_keys`, others of the same form."""
        assert self._client is not None
        self.requests.append(str(request.rel_url))
        body = await request.read()
        async with self._client.request(request.method, self._origin + str(request.rel_url), data=body) as answer:
            data = await answer.read()
            if self.wrong_keys and request.method == "GET":
                data = bytes(byte ^ 0x55 for byte in data)
            elif self.wrong_keys:
                document = json.loads(data)
                for key in document["keys"]:
                    key["k"] = key["k"][::-1]
                data = json.dumps(document).encode()
            return web.Response(body=data, status=answer.status, content_type=answer.content_type)

    async def _proxy(self, request: web.Request) -> web.StreamResponse:
        assert self._client is not None
        self.requests.append(str(request.rel_url))
        async with self._client.get(self._origin + str(request.rel_url)) as answer:
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            response.headers["cache-control"] = "no-store"
            await response.prepare(request)
            async for data in answer.content.iter_any():
                await response.write(data)
            await response.write_eof()
            return response


@asynccontextmanager
async def chromium() -> AsyncIterator[Page]:
    """A fresh page; the test is skipped where there is no Chromium."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("there is no Chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        try:
            yield await browser.new_page()
        finally:
            await browser.close()


async def clock(page: Page) -> tuple[int, dict[str, Any]] | None:
    """Latency in milliseconds and what the video element says; None while there is no picture."""
    seen = await page.evaluate(READ_CELLS, [ROWS, COLUMNS, STRIP_HEIGHT])
    if seen is None:
        return None
    try:
        return seen["now"] - decode(seen["cells"]), seen
    except ValueError:
        return None


async def playing(page: Page, *, seconds: float = 3.0, within: float = 30.0) -> list[int]:
    """Latencies in ms over some seconds of going on; an assertion that names the player's problems when it does not."""
    deadline = time.monotonic() + within
    while (await clock(page)) is None:
        assert time.monotonic() < deadline, await problems(page)
        await asyncio.sleep(0.2)
    _, before = (await clock(page)) or (0, {"time": 0.0, "frames": 0})
    seen: list[int] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = await clock(page)
        seen += [found[0]] if found else []
        await asyncio.sleep(0.1)
    last = await clock(page)
    assert last is not None, await problems(page)
    assert last[1]["time"] - before["time"] > seconds / 2, await problems(page)
    assert last[1]["frames"] > before["frames"] + 10, await problems(page)
    return seen


async def problems(page: Page) -> str:
    """What the player complained about, and where it is."""
    return str(
        await page.evaluate(
            "() => JSON.stringify({problems, time: video.currentTime, state: video.readyState, "
            "error: video.error && video.error.message, "
            "buffered: [...Array(video.buffered.length).keys()].map(i => [video.buffered.start(i), video.buffered.end(i)])})"
        )
    )
