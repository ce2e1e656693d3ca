"""Frame push over a WebSocket: its messages, and the web application's own player of them in Chromium."""

import asyncio
import contextlib
import json
from urllib.parse import urlencode

import httpx
import pytest
import websockets
from media_plane import STREAM, Plane, Publisher, eventually, master
from players import PlayerServer, chromium, playing

from workloads.common.cmaf.fragment import Fragment, FragmentReader, Init


def address(plane: Plane, query: str = "") -> str:
    return f"ws://127.0.0.1:{plane.ports['transcoder']}/push/{STREAM}{query}"


async def test_init_segments_come_first_then_frames_from_a_key_frame_on(
    plane: Plane, viewer: httpx.AsyncClient
) -> None:
    async with websockets.connect(address(plane)) as early:
        assert json.loads(await early.recv())["code"] == "not_live"
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await early.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013
    Publisher(plane)
    await eventually(lambda: master(viewer))
    async with websockets.connect(address(plane, "?rung=360p"), max_size=None) as socket:
        hello = json.loads(await socket.recv())
        assert (hello["type"], hello["rung"], hello["audio"]) == ("hello", "360p", "mp4a.40.2")
        assert [rung["codec"][:5] for rung in hello["rungs"]] == ["avc1.", "avc1."]
        readers = {0: FragmentReader(), 1: FragmentReader()}
        found: dict[int, list[Init | Fragment]] = {0: [], 1: []}
        while min(map(len, found.values())) < 30:
            message = await asyncio.wait_for(socket.recv(), 10)
            assert isinstance(message, bytes)
            found[message[0]] += readers[message[0]].feed(message[2:])
        for items in found.values():
            assert isinstance(items[0], Init)
            fragments = [item for item in items if isinstance(item, Fragment)]
            assert fragments[0].starts_with_sync
            times = [fragment.decode_time for fragment in fragments]
            assert times == sorted(times)
        await socket.send(json.dumps({"rung": "180p"}))
        while not isinstance(message := await asyncio.wait_for(socket.recv(), 10), str):
            continue
        assert json.loads(message)["rung"] == "180p"
        widths = []
        while not widths:
            message = await asyncio.wait_for(socket.recv(), 10)
            if isinstance(message, bytes) and message[0] == 0:
                widths += [item.width for item in FragmentReader().feed(message[2:]) if isinstance(item, Init)]
        assert widths == [320]
        await socket.send("nonsense")
        with contextlib.suppress(websockets.ConnectionClosed):
            async with asyncio.timeout(10):
                async for _ in socket:
                    continue
        assert socket.close_code == 4000


@pytest.mark.browser
@pytest.mark.slow
async def test_the_player_shows_the_picture_close_to_the_live_edge(plane: Plane, viewer: httpx.AsyncClient) -> None:
    Publisher(plane)
    await eventually(lambda: master(viewer))
    async with PlayerServer(f"http://127.0.0.1:{plane.ports['transcoder']}").running() as server, chromium() as page:
        source = f"{server.url}/hls/{STREAM}/master.m3u8"
        await page.goto(f"{server.url}/page/push?{urlencode({'source': source})}")
        await playing(page, seconds=3.0)
        latencies = sorted(await playing(page, seconds=4.0))
        print("push latency ms", latencies[len(latencies) // 2], latencies[-3])
        assert latencies[len(latencies) // 2] < 1_000
        await page.evaluate("() => push.setQuality(0)")

        async def larger() -> bool:
            return int(await page.evaluate("() => video.videoHeight")) == 360

        await eventually(larger, 10)
        await playing(page, seconds=1.0)
