"""A live stream of real ffmpeg keeps the rules of low-latency HLS and CMAF, also across a reconnect."""

import os
import signal
import xml.etree.ElementTree as Xml
from collections.abc import Awaitable, Callable

import httpx
from media_plane import Plane, Publisher, enough, eventually
from test_overload import encoder_of

from tests.support.hls_validator import check_playlist, check_stream, parse

MPD = "{urn:mpeg:dash:schema:mpd:2011}"


def origin_of(plane: Plane) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{plane.ports['transcoder']}/hls/shop/launch/", timeout=15)


def fetcher(client: httpx.AsyncClient) -> Callable[[str], Awaitable[bytes]]:
    async def fetch(path: str) -> bytes:
        response = await client.get(path)
        assert response.status_code == 200, (path, response.status_code)
        return response.content

    return fetch


async def test_a_live_stream_keeps_the_rules(plane: Plane, viewer: httpx.AsyncClient) -> None:
    Publisher(plane)
    await eventually(lambda: enough(viewer, "180p", 4))
    async with origin_of(plane) as client:
        assert await check_stream(fetcher(client)) == []
        os.kill(encoder_of(plane), signal.SIGKILL)
        before = (await client.get("180p/media.m3u8")).text.count("#EXTINF")
        await eventually(lambda: enough(viewer, "180p", before + 4))
        assert await check_stream(fetcher(client)) == []


def test_the_validator_finds_what_is_wrong() -> None:
    text = """#EXTM3U
#EXT-X-TARGETDURATION:1
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=6.0,HOLD-BACK=3.0,PART-HOLD-BACK=0.1
#EXT-X-PART-INF:PART-TARGET=0.2
#EXT-X-MEDIA-SEQUENCE:5
#EXT-X-MAP:URI="init.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z
#EXT-X-PART:DURATION=0.10000,URI="5.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.30000,URI="5.1.m4s"
#EXTINF:2.00000,
5.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:01.000Z
#EXTINF:1.00000,
6.m4s
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="6.0.m4s"
"""
    wrong = "; ".join(check_playlist(text))
    for what in (
        "PART-HOLD-BACK",
        "longer than the target",
        "add up",
        "85 %",
        "longer than the part",
        "end of the",
        "hint",
    ):
        assert what in wrong


async def test_the_growing_segment_is_read_while_it_is_made(plane: Plane, viewer: httpx.AsyncClient) -> None:
    Publisher(plane)
    await eventually(lambda: enough(viewer, "180p", 2))
    async with origin_of(plane) as client:
        manifest = Xml.fromstring((await client.get("manifest.mpd")).text)
        assert manifest.get("type") == "dynamic"
        [template, *_] = [
            found.find(f"{MPD}SegmentTemplate")
            for found in manifest.iter(f"{MPD}Representation")
            if found.get("id") == "180p"
        ]
        assert template is not None
        listed = int(template.get("startNumber", "0")) + len(list(template.iter(f"{MPD}S")))
        hint = parse((await client.get("180p/media.m3u8")).text).hint
        msn = int(hint.partition(".")[0])
        assert listed - 1 <= msn <= listed + 1
        pieces = []
        async with client.stream("GET", f"180p/{msn}.m4s") as response:
            assert response.status_code == 200
            assert "content-length" not in response.headers
            async for piece in response.aiter_raw():
                pieces.append(piece)
        assert len(pieces) >= 3, "it came as it was made"
        assert b"".join(pieces) == (await client.get(f"180p/{msn}.m4s")).content
