"""Fixtures: stores of two kinds, planes with recorders on top of them, and a broadcast that was recorded on each."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "media"))
sys.path.insert(0, str(Path(__file__).parent))

from media_plane import Publisher
from recorder_plane import Broadcast, Studio, chat_and_pin, studio
from s3_server import S3Server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server with a bucket."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Studio]:
    """A plane whose store is a folder."""
    with studio(tmp_path, f"file://{tmp_path}/store") as made:
        yield made


@pytest.fixture
def cloud(tmp_path: Path, s3: S3Server) -> Iterator[Studio]:
    """A plane whose store is S3."""
    with studio(tmp_path, s3.url(tmp_path.name), **s3.environment) as made:
        yield made


@pytest.fixture(scope="session", params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def recorded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, s3: S3Server
) -> Iterator[Broadcast]:
    """A broadcast with a reconnect of its publisher, chat and pins, recorded whole; the recorder still runs."""
    folder = tmp_path_factory.mktemp("recorded")
    is_folder = request.param == "folder"
    url = f"file://{folder}/store" if is_folder else s3.url(folder.name)
    with studio(folder, url, **({} if is_folder else s3.environment)) as made:
        made.start_recorder()
        Publisher(made.plane)
        made.enter("Live")
        made.broadcast(6)
        first = chat_and_pin(made, "SAREE-RED")
        made.plane.kill("source")
        made.enter("Interrupted")
        time.sleep(2)
        Publisher(made.plane)
        made.enter("Live")
        made.broadcast(14)
        second = chat_and_pin(made, "SAREE-TEAL")
        made.broadcast(made.stored_seconds() + 4)
        made.plane.kill("source")
        made.enter("Ended")
        ended_at = time.monotonic()
        (item,) = made.ended()
        yield Broadcast(made, item, time.monotonic() - ended_at, [first, second])
