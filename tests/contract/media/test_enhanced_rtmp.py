"""Encoders that send more than H.264: HEVC, AV1 and VP9 by enhanced RTMP reach the viewer; what cannot is refused."""

import asyncio
import subprocess

import httpx
import pytest
from media_plane import RUNGS, Plane, enough, eventually

pytestmark = pytest.mark.slow

CODECS = {
    "hevc": ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", "-c:a", "aac"],
    "av1": ["-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "pred-struct=1:rc=2:lp=1", "-c:a", "libopus"],
    "vp9": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"],
}
SOURCE = ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=25", "-f", "lavfi", "-i", "sine=frequency=440"]


@pytest.mark.parametrize("codec", CODECS)
async def test_it_is_encoded_as_any_other(plane: Plane, viewer: httpx.AsyncClient, ffmpeg: str, codec: str) -> None:
    coding = [*CODECS[codec], "-g", "25", "-b:v", "600k", "-ar", "48000", "-pix_fmt", "yuv420p"]
    command = [ffmpeg, "-hide_banner", "-loglevel", "error", "-re", *SOURCE, "-t", "60", *coding, "-f", "flv"]
    plane.run("source", [*command, plane.rtmp_url])
    for name in (RUNGS[0][0], RUNGS[1][0], "audio"):
        text = await eventually(lambda name=name: enough(viewer, name, 3), seconds=40)
        assert "#EXT-X-DISCONTINUITY\n" not in text
    assert "encoder replaced" not in plane.log("transcoder")


async def test_a_new_transcoder_goes_on_in_the_middle(plane: Plane, viewer: httpx.AsyncClient, ffmpeg: str) -> None:
    coding = [*CODECS["hevc"], "-g", "25", "-b:v", "600k", "-ar", "48000", "-pix_fmt", "yuv420p"]
    command = [ffmpeg, "-hide_banner", "-loglevel", "error", "-re", *SOURCE, "-t", "60", *coding, "-f", "flv"]
    plane.run("source", [*command, plane.rtmp_url])
    await eventually(lambda: enough(viewer, RUNGS[0][0], 2), seconds=40)
    plane.kill("transcoder")
    plane.start("transcoder")
    await eventually(lambda: enough(viewer, RUNGS[0][0], 2), seconds=40)
    assert plane.log("ingest").count("publisher accepted") == 1


async def test_sound_that_is_not_taken_is_refused_by_name(plane: Plane, ffmpeg: str) -> None:
    command = [ffmpeg, "-hide_banner", "-loglevel", "verbose", "-re", *SOURCE, "-t", "20", "-c:v", "libx264"]
    command += ["-preset", "ultrafast", "-c:a", "ac3", "-ar", "48000", "-f", "flv", plane.rtmp_url]
    result = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=60, check=False)
    assert result.returncode != 0
    assert "audio codec AC-3 is not supported" in plane.log("ingest")
    async with httpx.AsyncClient() as client:
        metrics = (await client.get(f"http://127.0.0.1:{plane.ports['ingest']}/metrics")).text
    assert 'haat_ingest_refused_total{reason="codec"} 1.0' in metrics
