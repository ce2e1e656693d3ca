"""Fixtures: Redis and the ingest as processes, a sink that stands where the transcoder would, and films."""

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import imageio_ffmpeg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "media"))

from media_plane import KEY, STREAM, Plane, start_redis
from sink import Sink

COLOURS = {"red": "0xff0000", "blue": "0x0000ff"}


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """The ffmpeg under test."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.fixture(scope="session")
def films(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films of different sizes: red and blue with sound, mute without, and one that turns from red to blue."""
    folder = tmp_path_factory.mktemp("films")
    tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100", "-c:a", "aac", "-shortest"]
    encode = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-movflags", "+faststart"]
    for name, colour in COLOURS.items():
        picture = ["-f", "lavfi", "-i", f"color={colour}:s=640x360:r=25:d=90"]
        run(ffmpeg, *picture, *tone, *encode, str(folder / f"{name}.mp4"))
    run(ffmpeg, "-f", "lavfi", "-i", "color=0xff0000:s=320x320:r=30:d=30", *encode, str(folder / "mute.mp4"))
    run(ffmpeg, "-f", "lavfi", "-i", "color=0xff0000:s=640x360:r=25:d=2", *tone, *encode, str(folder / "short.mp4"))
    both = [f"color={colour}:s=640x360:r=25:d=20" for colour in COLOURS.values()]
    inputs = [part for item in both for part in ("-f", "lavfi", "-i", item)]
    joined = ["-filter_complex", "[0:v][1:v]concat=n=2:v=1[v]", "-map", "[v]", "-map", "2:a", "-c:a", "aac"]
    sine = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-shortest"]
    run(ffmpeg, *inputs, *sine, *joined, *encode, str(folder / "turning.mp4"))
    return folder


def run(ffmpeg: str, *arguments: str) -> None:
    """Make a film."""
    subprocess.run([ffmpeg, "-v", "error", "-y", *arguments], check=True, timeout=60)


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    """The processes of one test."""
    made = Plane(tmp_path)
    try:
        (tmp_path / "jwks.json").write_text("")
        (tmp_path / "key").write_text(KEY)
        yield made
    finally:
        made.stop()


@pytest.fixture
async def sink(plane: Plane) -> AsyncIterator[Sink]:
    """Redis, the ingest, and what arrives behind it."""
    store = await asyncio.to_thread(start_redis, plane)
    async with Sink() as made:
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        store.hset("haat:ingest", digest, json.dumps({"stream": STREAM, "uid": "u-1", "target": made.url}))
        await asyncio.to_thread(plane.start, "ingest")
        yield made
