"""From an RTMP push to pictures that a decoder reads, through every process of the media plane."""

import asyncio
import re
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import httpx
import numpy as np
from media_plane import RUNGS, STREAM, Plane, Publisher, enough, eventually, master, numbers
from redis import Redis

from hack.testsource import barcode
from workloads.common.tokens import Signer


def stamps(ffmpeg: str, media: bytes, width: int, height: int, folder: Path) -> list[int]:
    """The clock of every frame that ffmpeg decodes."""
    path = folder / "segment.mp4"
    path.write_bytes(media)
    raw = subprocess.run(
        [ffmpeg, "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "gray", "-fps_mode", "passthrough", "-"],
        capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    assert not raw.stderr, raw.stderr.decode()
    frames = np.frombuffer(raw.stdout, np.uint8).reshape(-1, height, width)
    return [barcode.read(frame) for frame in frames]


async def test_the_moving_picture_comes_out_of_every_rung(
    plane: Plane, viewer: httpx.AsyncClient, ffmpeg: str, tmp_path: Path
) -> None:
    Publisher(plane)
    text = await eventually(lambda: master(viewer))
    assert 'CODECS="avc1.' in text
    assert "mp4a.40.2" in text
    for name, width, height, _ in RUNGS:
        playlist = await eventually(lambda name=name: enough(viewer, name, 2))
        msn = numbers(playlist)[1]
        [init_uri] = re.findall(r'#EXT-X-MAP:URI="([^"]+)"', playlist)
        init = (await viewer.get(f"{name}/{init_uri}")).content
        segment = (await viewer.get(f"{name}/{msn}.m4s")).content
        clock = stamps(ffmpeg, init + segment, width, height, tmp_path)
        assert len(clock) >= 12
        assert all(0 < later - earlier < 200 for earlier, later in pairwise(clock))
        assert abs(clock[-1] - time.time() * 1000) < 20_000
        count = len(re.findall(rf'URI="{msn}\.\d+\.m4s"', playlist))
        parts = [(await viewer.get(f"{name}/{msn}.{index}.m4s")).content for index in range(count)]
        assert b"".join(parts) == segment, "a segment is its parts"


async def test_blocking_reload_follows_the_live_edge(plane: Plane, viewer: httpx.AsyncClient) -> None:
    Publisher(plane)
    text = await eventually(lambda: enough(viewer, "audio", 1))
    for _ in range(6):
        [(msn, part)] = re.findall(r'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="(\d+)\.(\d+)\.m4s"', text)
        media, reload = await asyncio.gather(
            viewer.get(f"audio/{msn}.{part}.m4s"),
            viewer.get("audio/media.m3u8", params={"_HLS_msn": msn, "_HLS_part": part}),
        )
        assert reload.status_code == 200
        assert media.status_code == 200 or f'URI="{msn}.{part}.m4s"' not in reload.text
        text = reload.text
    far = await viewer.get("audio/media.m3u8", params={"_HLS_msn": int(msn) + 50})
    assert (far.status_code, far.json()["errors"][0]["field"]) == (400, "_HLS_msn")


async def test_studio_and_heartbeat_tell_the_broadcast_s_state(
    plane: Plane, viewer: httpx.AsyncClient, signing_key: str
) -> None:
    Publisher(plane)
    await eventually(lambda: master(viewer))
    url = f"http://127.0.0.1:{plane.ports['transcoder']}/streams/{STREAM}/studio"

    def token(role: str, stream: str) -> dict[str, str]:
        issued = Signer(signing_key).issue(sub="u", name="n", role=role, streams=[stream], ttl_seconds=60)  # type: ignore[arg-type]
        return {"Authorization": f"Bearer {issued}"}

    async with httpx.AsyncClient() as client:
        assert (await client.get(url)).status_code == 401
        assert (await client.get(url, headers=token("viewer", STREAM))).status_code == 403
        assert (await client.get(url, headers=token("host", "shop/other"))).status_code == 403
        body = (await client.get(url, headers=token("host", STREAM))).json()
    assert (body["stream"], body["receiving"], body["stream_key"][:3]) == (STREAM, True, "sk-")
    assert set(body["rungs"]) == {name for name, *_ in RUNGS}
    store = Redis(port=plane.ports["redis"], decode_responses=True)
    beat = store.hget("haat:heartbeats", f"transcoder/{STREAM}/transcoder-0")
    assert beat is not None
    assert '"receiving": true' in str(beat)
