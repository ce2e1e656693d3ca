"""What is said in sync with the picture: cues in the media and in the playlists, captions beside it."""

import asyncio
import json
import re
from urllib.parse import urlencode

import httpx
import pytest
from media_plane import STREAM, Plane, Publisher, enough, eventually
from players import PlayerServer, chromium, clock, playing

from workloads.common.tokens import Signer


def control(plane: Plane, signing_key: str, role: str = "host") -> httpx.AsyncClient:
    token = Signer(signing_key).issue(sub="u", name="n", role=role, streams=[STREAM], ttl_seconds=60)  # type: ignore[arg-type]
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{plane.ports['transcoder']}/streams/{STREAM}/",
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )


async def test_a_cue_is_in_the_next_part_of_each_rendition_and_a_date_range(
    plane: Plane, viewer: httpx.AsyncClient, signing_key: str
) -> None:
    body = {"id": "pin-1", "kind": "pin", "data": {"sku": "SAREE-RED", "title": "শাড়ি"}, "duration_seconds": 5}
    async with control(plane, signing_key) as host:
        assert (await host.post("cues", json=body)).status_code == 409
        Publisher(plane)
        await eventually(lambda: enough(viewer, "360p", 2))
        first, again = [(await host.post("cues", json=body)).json() for _ in range(2)]
        assert first == again
        wrong = await host.post("cues", json={"kind": "Not A Kind"})
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "kind")
    async with control(plane, signing_key, "viewer") as guest:
        assert (await guest.post("cues", json=body)).status_code == 403
    for name in ("360p", "180p", "audio"):
        count = (await viewer.get(f"{name}/media.m3u8")).text.count("#EXTINF")
        text = await eventually(lambda name=name, count=count: enough(viewer, name, count + 2))
        [line] = [line for line in text.splitlines() if line.startswith("#EXT-X-DATERANGE")]
        assert 'ID="pin-1"' in line
        assert json.loads(bytes.fromhex(line.rpartition("X-DATA=0x")[2])) == body["data"]
        msns = re.findall(r"^(\d+)\.m4s$", text, re.M)
        bodies = [(await viewer.get(f"{name}/{msn}.m4s")).content for msn in msns]
        assert sum(data.count(b"aomedia.org") for data in bodies) == 1, name


@pytest.mark.browser
@pytest.mark.slow
async def test_a_player_sees_cues_and_captions_with_the_picture(
    plane: Plane, viewer: httpx.AsyncClient, signing_key: str
) -> None:
    Publisher(plane)
    await eventually(lambda: enough(viewer, "360p", 2))
    origin = f"http://127.0.0.1:{plane.ports['transcoder']}"
    async with control(plane, signing_key) as host, PlayerServer(origin).running() as server, chromium() as page:
        await host.post("captions", json={"text": "before", "language": "bn"})
        source = f"{server.url}/hls/{STREAM}/master.m3u8"
        await page.goto(f"{server.url}/page/hls?{urlencode({'source': source})}")
        await playing(page, seconds=1.0)
        await page.evaluate("() => { hls.subtitleDisplay = true; hls.subtitleTrack = 0; }")
        await host.post("cues", json={"kind": "pin", "data": {"sku": "A-1"}})
        said = (await host.post("captions", json={"text": "Sale <now> & here", "language": "bn"})).json()

        async def metadata() -> str:
            found = await page.evaluate("() => metadata.map(item => item.text).join('|')")
            return found if "A-1" in found else ""

        assert '"kind":"pin"' in await eventually(metadata, 10)

        async def cue() -> dict[str, float] | None:
            return await page.evaluate(  # type: ignore[no-any-return]
                """() => [...video.textTracks].flatMap(track => [...(track.cues || [])])
                  .filter(cue => (cue.text || '').includes('here'))
                  .map(cue => ({start: cue.startTime, end: cue.endTime, at: video.currentTime, text: cue.text}))[0]"""
            )

        shown = await eventually(cue, 15)
        assert 2.9 < shown["end"] - shown["start"] < 3.1
        # The picture's own clock tells at which wall-clock time the caption is shown.
        latency, seen = await eventually(lambda: clock(page))
        stamp_at_cue = (seen["now"] - latency) / 1000 + shown["start"] - seen["time"]
        assert abs(stamp_at_cue - (1735689600 + said["media_time"])) < 1.5
        await asyncio.sleep(0)
