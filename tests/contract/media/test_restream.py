"""Copies for other platforms: one that dies costs the others nothing, and comes back when the platform does."""

import asyncio
import json
import os
import signal

import httpx
import pytest
import redis
from media_plane import STREAM, Plane, Publisher, eventually, free_port, master


class Platform:
    """Another live platform: an ffmpeg that takes one publisher and counts what it gets."""

    def __init__(self, plane: Plane, ffmpeg: str, name: str) -> None:
        self.name = name
        self.port = free_port()
        self.url = f"rtmp://127.0.0.1:{self.port}/live/secret-{name}"
        self._plane = plane
        self._ffmpeg = ffmpeg
        self.start()

    def start(self) -> None:
        command = [self._ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error", "-listen", "1", "-i", self.url]
        self.process = self._plane.run(self.name, [*command, "-map", "0", "-c", "copy", "-f", "framecrc", "-"])

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def frames(self) -> int:
        return sum(line.startswith(("0,", "1,")) for line in self._plane.log(self.name).splitlines())


@pytest.fixture
def store(plane: Plane) -> redis.Redis:
    return redis.Redis(port=plane.ports["redis"], decode_responses=True)


def told(store: redis.Redis) -> dict[str, str]:
    raw = store.hget("haat:heartbeats", f"restream/{STREAM}/restream-0")
    return {name: item["state"] for name, item in json.loads(str(raw))["targets"].items()} if raw else {}


async def test_three_platforms_of_which_one_dies(
    plane: Plane, viewer: httpx.AsyncClient, ffmpeg: str, store: redis.Redis
) -> None:
    platforms = [Platform(plane, ffmpeg, name) for name in ("one", "two", "three")]
    folder = plane.folder / "targets"
    folder.mkdir()
    for platform in platforms:
        (folder / platform.name).write_text(platform.url)
    Publisher(plane)
    await eventually(lambda: master(viewer))
    files = {"HAAT_STREAM_FILE": str(plane.folder / "stream.json"), "HAAT_TARGETS_DIR": str(folder)}
    plane.launch("restream", "restream", **files)

    async def all_live() -> bool:
        return set(told(store).values()) == {"Live"} and len(told(store)) == 3

    await eventually(all_live, 40)
    platforms[1].stop()

    async def failed() -> bool:
        return told(store).get("two") == "Failed"

    await eventually(failed)
    before = [platforms[0].frames(), platforms[2].frames()]
    await asyncio.sleep(4)
    assert platforms[0].frames() > before[0] + 50
    assert platforms[2].frames() > before[1] + 50
    assert told(store)["one"] == told(store)["three"] == "Live"
    platforms[1].start()
    await eventually(all_live, 60)
    log = plane.log("restream") + str(store.hgetall("haat:heartbeats"))
    assert "secret-" not in log
    (folder / "three").unlink()

    async def gone() -> bool:
        return set(told(store)) == {"one", "two"}

    await eventually(gone)
