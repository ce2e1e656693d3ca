"""Overload: an encoder that cannot keep up gives up its largest rung, the others go on, and the rung comes back."""

import asyncio
import os
import re
import signal
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from media_plane import RUNGS, Plane, Publisher, enough, eventually, master, numbers

pytestmark = pytest.mark.slow

TOP, LOW = RUNGS[0][0], RUNGS[1][0]
RECOVERY_SECONDS = 5.0
GOOD_LATENCY_SECONDS = 1.5


def encoder_of(plane: Plane) -> int:
    """The transcoder's one child."""
    parent = str(plane.processes["transcoder"].pid)
    found = subprocess.run(["pgrep", "-P", parent], capture_output=True, check=False, timeout=5).stdout.split()
    return int(found[0]) if found else 0


async def metric(plane: Plane, name: str) -> float:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{plane.ports['transcoder']}/metrics", timeout=5)).text
    [value] = re.findall(rf"^haat_transcoder_{name}{{[^}}]*}} (\S+)$", text, re.M)
    return float(value)


async def shed_is(plane: Plane, count: int) -> bool:
    return await metric(plane, "rungs_shed") == count


def stop_pulse(plane: Plane, seconds: float) -> None:
    """An encoder that gets no processor time at all for a while."""
    pid = encoder_of(plane)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return  # it was replaced meanwhile


def segment_times(playlist: str) -> list[tuple[float, float]]:
    """Start and end of each finished segment, by the wall-clock times of the playlist."""
    found = re.findall(
        r"#EXT-X-PROGRAM-DATE-TIME:\S+T(\d+):(\d+):([\d.]+)Z\n(?:#EXT-X-PART:.*\n)*#EXTINF:([\d.]+)", playlist
    )
    starts = [(int(h) * 3600 + int(m) * 60 + float(s), float(length)) for h, m, s, length in found]
    return [(start, start + length) for start, length in starts]


async def test_a_rung_is_shed_and_taken_back_while_the_other_goes_on(plane: Plane, viewer: httpx.AsyncClient) -> None:
    plane.kill("transcoder")
    plane.start("transcoder", HAAT_SHED_WAIT_SECONDS="3")
    Publisher(plane)
    await eventually(lambda: enough(viewer, LOW, 3))
    await asyncio.sleep(2)
    await asyncio.to_thread(stop_pulse, plane, 1.6)
    await eventually(lambda: shed_is(plane, 1), 5)
    calm_by = time.monotonic() + RECOVERY_SECONDS

    async def calm() -> bool:
        return await metric(plane, "lateness_seconds") < GOOD_LATENCY_SECONDS

    await eventually(calm, RECOVERY_SECONDS)
    assert time.monotonic() < calm_by
    listed = await eventually(lambda: master(viewer))
    assert f"{TOP}/media.m3u8" not in listed or await shed_is(plane, 0)
    await eventually(lambda: shed_is(plane, 0), 20)
    await asyncio.sleep(2.5)
    for name in (TOP, LOW, "audio"):
        text = (await viewer.get(f"{name}/media.m3u8")).text
        found = numbers(text)
        assert found == list(range(found[0], found[-1] + 1))
        times = segment_times(text)
        gaps = [later - earlier for (_, earlier), (later, _) in pairwise(times)]
        assert all(abs(gap) < 0.06 for gap in gaps), (name, gaps)
        assert text.count("#EXT-X-DISCONTINUITY\n") == 2
    assert f"{TOP}/media.m3u8" in await eventually(lambda: master(viewer))


async def test_what_cannot_be_encoded_in_time_is_skipped_and_not_queued(
    plane: Plane, viewer: httpx.AsyncClient, tmp_path: Path
) -> None:
    plane.kill("transcoder")
    text = (tmp_path / "stream.json").read_text()
    (tmp_path / "stream.json").write_text(re.sub(r', \{"name": "180p".*?\}', "", text))
    plane.start("transcoder")
    Publisher(plane)
    await eventually(lambda: enough(viewer, TOP, 2))
    await asyncio.sleep(3)
    await asyncio.to_thread(stop_pulse, plane, 3.0)

    async def skipped() -> bool:
        return await metric(plane, "frames_dropped_total") > 0

    await eventually(skipped, 10)

    async def calm() -> bool:
        return await metric(plane, "lateness_seconds") < GOOD_LATENCY_SECONDS

    await eventually(calm, RECOVERY_SECONDS)
    assert await shed_is(plane, 0), "the last rung is never given up"
