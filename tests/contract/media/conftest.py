"""Fixtures: one media plane per test."""

import hashlib
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import imageio_ffmpeg
import pytest

from workloads.common.tokens import Signer, new_private_key

sys.path.insert(0, str(Path(__file__).parent))

from media_plane import KEY, STREAM, Plane, start_redis, write_files


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """The ffmpeg under test."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.fixture(scope="session")
def signing_key() -> str:
    """Private key whose public half every workload of the plane trusts."""
    return new_private_key()


@pytest.fixture
def plane(tmp_path: Path, signing_key: str) -> Iterator[Plane]:
    """Ingest, transcoder and edge, ready, with one stream in the directory and nobody publishing."""
    plane = Plane(tmp_path)
    write_files(tmp_path, Signer(signing_key).jwks())
    try:
        store = start_redis(plane)
        origin = f"http://127.0.0.1:{plane.ports['transcoder']}"
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        store.hset("haat:ingest", digest, json.dumps({"stream": STREAM, "uid": "u-1", "target": origin}))
        store.hset("haat:streams", STREAM, json.dumps({"uid": "u-1", "origin": origin, "phase": "Live"}))
        plane.start("transcoder", "ingest", "edge")
        yield plane
    finally:
        plane.stop()


@pytest.fixture
async def viewer(plane: Plane) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the edge, at the stream's media folder."""
    async with httpx.AsyncClient(base_url=f"{plane.edge}/hls/{STREAM}/", timeout=15) as client:
        yield client
