"""A broadcast outlives its publisher's connection, its encoder and its transcoder, under the same addresses."""

import os
import re
import signal
import subprocess

import httpx
import pytest
from media_plane import Plane, Publisher, enough, eventually, numbers


async def newer_than(viewer: httpx.AsyncClient, msn: int) -> str:
    response = await viewer.get("360p/media.m3u8")
    fresh = response.status_code == 200 and numbers(response.text)[-1:] > [msn + 1]
    return response.text if fresh else ""


def child(parent: int) -> int:
    """The one child process of `parent`."""
    return int(
        subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, check=True, timeout=5).stdout.split()[0]
    )


async def test_a_reconnecting_publisher_continues_the_same_playlist(plane: Plane, viewer: httpx.AsyncClient) -> None:
    source = Publisher(plane)
    before = numbers(await eventually(lambda: enough(viewer, "360p", 2)))
    os.kill(child(source.process.pid), signal.SIGKILL)
    after = await eventually(lambda: newer_than(viewer, before[-1] + 2))
    assert "#EXT-X-DISCONTINUITY\n" in after
    found = numbers(after)
    assert found == list(range(found[0], found[-1] + 1))
    assert found[0] == before[0]


async def test_a_dead_encoder_is_replaced_while_the_publisher_stays(plane: Plane, viewer: httpx.AsyncClient) -> None:
    Publisher(plane)
    before = numbers(await eventually(lambda: enough(viewer, "360p", 2)))
    os.kill(child(plane.processes["transcoder"].pid), signal.SIGKILL)
    after = await eventually(lambda: newer_than(viewer, before[-1] + 2))
    assert "#EXT-X-DISCONTINUITY\n" in after
    assert "encoder failed" in plane.log("transcoder")
    assert plane.log("ingest").count("publisher accepted") == 1


async def test_a_replaced_transcoder_goes_on_with_higher_numbers(plane: Plane, viewer: httpx.AsyncClient) -> None:
    Publisher(plane)
    before = numbers(await eventually(lambda: enough(viewer, "360p", 2)))
    plane.kill("transcoder")
    plane.start("transcoder")
    after = await eventually(lambda: newer_than(viewer, before[-1]))
    assert numbers(after)[0] > before[-1]
    assert plane.log("ingest").count("publisher accepted") == 1
    times = re.findall(r"#EXT-X-PROGRAM-DATE-TIME:(\S+)", after)
    assert times == sorted(times)


async def test_everything_stops_in_order(plane: Plane, viewer: httpx.AsyncClient) -> None:
    source = Publisher(plane)
    await eventually(lambda: enough(viewer, "360p", 1))
    encoder = child(plane.processes["transcoder"].pid)
    for name in ("edge", "ingest", "transcoder"):
        plane.processes[name].send_signal(signal.SIGTERM)
        assert plane.processes[name].wait(20) == 0, plane.log(name)[-2000:]
    source.process.send_signal(signal.SIGTERM)
    assert source.process.wait(5) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(encoder, 0)
