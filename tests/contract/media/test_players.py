"""The same bytes in every player: hls.js, Shaka Player and dash.js, in Chromium, from the origin itself."""

from urllib.parse import urlencode

import httpx
import pytest
from media_plane import STREAM, Plane, Publisher, eventually, master
from players import PlayerServer, chromium, playing

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MOST_MS = {"hls": 5_000, "shaka": 9_000, "dash": 6_000}


@pytest.mark.parametrize(
    ("kind", "manifest"),
    [("hls", "master.m3u8"), ("shaka", "master.m3u8"), ("dash", "manifest.mpd"), ("shaka", "manifest.mpd")],
)
async def test_a_player_shows_the_moving_picture(
    plane: Plane, viewer: httpx.AsyncClient, kind: str, manifest: str
) -> None:
    Publisher(plane)
    await eventually(lambda: master(viewer))
    origin = f"http://127.0.0.1:{plane.ports['transcoder']}"
    async with PlayerServer(origin).running() as server, chromium() as page:
        source = f"{server.url}/hls/{STREAM}/{manifest}"
        await page.goto(f"{server.url}/page/{kind}?{urlencode({'source': source})}")
        latencies = sorted(await playing(page, seconds=4.0))
        print(kind, manifest, "latency ms", latencies[len(latencies) // 2], "requests", len(server.requests))
        assert latencies[len(latencies) // 2] < MOST_MS[kind]
