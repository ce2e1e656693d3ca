"""Encrypted streams in real players: they play with the right key, through changes of it, and fail with a wrong one."""

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from media_plane import STREAM, Plane, Publisher, enough, eventually
from players import PlayerServer, chromium, playing, problems

from tests.support.hls_validator import check_playlist

pytestmark = pytest.mark.slow

LICENSE = f"/keys/{STREAM}/license"
CLEARKEY = {"emeEnabled": True, "drmSystems": {"org.w3.clearkey": {"licenseUrl": LICENSE}}}


def protect(plane: Plane, folder: Path, method: str, rotate: int = 0) -> None:
    plane.kill("transcoder")
    spec = json.loads((folder / "stream.json").read_text())
    (folder / "stream.json").write_text(json.dumps(spec | {"drm": {"method": method, "rotate_segments": rotate}}))
    (folder / "secret").write_bytes(b"0123456789abcdef0123456789abcdef")
    plane.start("transcoder", HAAT_CONTENT_SECRET_FILE=str(folder / "secret"))


CASES = [
    ("hls", "aes-128", {}, 2),
    ("hls", "cbcs", CLEARKEY, 0),
    ("shaka", "cbcs", {"manifest": {"ignoreDrmInfo": True}}, 0),
]


@pytest.mark.browser
@pytest.mark.parametrize(("kind", "method", "config", "rotate"), CASES)
async def test_a_player_with_the_key_shows_the_picture(
    plane: Plane, viewer: httpx.AsyncClient, tmp_path: Path, kind: str, method: str, config: dict[str, Any], rotate: int
) -> None:
    protect(plane, tmp_path, method, rotate)
    Publisher(plane)
    text = await eventually(lambda: enough(viewer, "360p", 3))
    assert check_playlist(text) == []
    async with PlayerServer(f"http://127.0.0.1:{plane.ports['transcoder']}").running() as server, chromium() as page:
        if kind == "shaka":
            config = config | {"drm": {"clearKeys": await clear_keys(plane, text)}}
        query = urlencode({"source": f"{server.url}/hls/{STREAM}/master.m3u8", "config": json.dumps(config)})
        await page.goto(f"{server.url}/page/{kind}?{query}")
        if method == "cbcs":
            try:
                await eventually(lambda: page.evaluate("() => video.currentTime > 0 && !video.paused"), 20)
            except AssertionError:
                raise AssertionError(await problems(page) + str(server.requests[-12:])) from None
            began = await page.evaluate(FRAMES)
            await asyncio.sleep(4)
            assert await page.evaluate(FRAMES) > began + 20, await problems(page)
        else:
            await playing(page, seconds=6.0)
        if kind == "shaka":
            return
        asked = [request for request in server.requests if request.startswith("/keys/")]
        assert len({request for request in asked if not request.endswith("license")} or set(asked)) >= (
            2 if rotate else 1
        )


async def clear_keys(plane: Plane, playlist: str) -> dict[str, str]:
    """Key identifiers and keys in hexadecimal, for a player that asks nobody."""
    kid = bytes.fromhex(re.findall(r"KEYID=0x([0-9A-F]+)", playlist)[-1])
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{plane.ports['transcoder']}") as client:
        answer = await client.post(LICENSE, json={"kids": [base64.urlsafe_b64encode(kid).decode().rstrip("=")]})
    [key] = answer.json()["keys"]
    return {kid.hex(): base64.urlsafe_b64decode(key["k"] + "==").hex()}


FRAMES = "() => video.getVideoPlaybackQuality().totalVideoFrames"


@pytest.mark.browser
@pytest.mark.parametrize(("method", "config"), [("aes-128", {}), ("cbcs", CLEARKEY)])
async def test_a_wrong_key_shows_nothing(
    plane: Plane, viewer: httpx.AsyncClient, tmp_path: Path, method: str, config: object
) -> None:
    protect(plane, tmp_path, method)
    Publisher(plane)
    await eventually(lambda: enough(viewer, "360p", 3))
    async with PlayerServer(f"http://127.0.0.1:{plane.ports['transcoder']}").running() as server, chromium() as page:
        server.wrong_keys = True
        query = urlencode({"source": f"{server.url}/hls/{STREAM}/master.m3u8", "config": json.dumps(config)})
        await page.goto(f"{server.url}/page/hls?{query}")

        async def complained() -> bool:
            return bool(await page.evaluate("() => problems.length > 0"))

        await eventually(complained, 20)
        await asyncio.sleep(2)
        assert await page.evaluate(FRAMES) < 5


async def test_a_protected_stream_is_never_given_in_the_clear(
    plane: Plane, viewer: httpx.AsyncClient, tmp_path: Path
) -> None:
    protect(plane, tmp_path, "cbcs", 2)
    Publisher(plane)
    text = await eventually(lambda: enough(viewer, "360p", 4))
    assert text.count("#EXT-X-MAP") >= 2, "the key changes"
    origin = f"http://127.0.0.1:{plane.ports['transcoder']}"
    async with httpx.AsyncClient(base_url=origin, timeout=10) as client:
        assert (await client.get(f"/hls/{STREAM}/manifest.mpd")).json()["code"] == "protected"
        assert (await client.get(f"/keys/{STREAM}/1")).status_code == 404
        assert (await client.post(LICENSE, content=b"{}")).json()["errors"][0]["field"] == "kids"
    plane.kill("transcoder")
    plane.start("transcoder")
    log = plane.log("transcoder")
    assert "HAAT_CONTENT_SECRET_FILE is not set" in log
