"""Fixtures: a media plane with two webrtc pods on the air, and a quiet one for publishers."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "media"))
sys.path.insert(0, str(Path(__file__).parent))

from media_plane import STREAM, Plane, Publisher, wait_for
from webrtc_plane import running_plane


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A plane while the test source publishes to its stream."""
    with running_plane(tmp_path_factory.mktemp("live")) as plane:
        Publisher(plane)
        origin = f"http://127.0.0.1:{plane.ports['transcoder']}"
        wait_for(lambda: httpx.get(f"{origin}/hls/{STREAM}/master.m3u8", timeout=10).status_code == 200)
        yield plane


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A plane to which nobody publishes."""
    with running_plane(tmp_path_factory.mktemp("quiet")) as plane:
        yield plane
