"""A stream whose source is an address: read, shown, read again when it ends, and taken over by another pod."""

import functools
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import redis
from media_plane import KEY, STREAM, Plane, enough, eventually, master, numbers

from workloads.common import sealed

SECONDS = 8


@pytest.fixture
def film(tmp_path: Path, ffmpeg: str) -> Iterator[str]:
    """The address of a short film."""
    folder = tmp_path / "films"
    folder.mkdir()
    command = [ffmpeg, "-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"]
    command += ["-f", "lavfi", "-i", "sine=frequency=440", "-t", str(SECONDS), "-c:v", "libx264", "-g", "25"]
    subprocess.run(
        [*command, "-c:a", "aac", "-movflags", "+faststart", str(folder / "film.mp4")], check=True, timeout=60
    )
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/film.mp4"
        server.shutdown()


def order(plane: Plane, key: str, uri: str) -> None:
    """What the operators publish for a stream with a source."""
    store = redis.Redis(port=plane.ports["redis"])
    body = json.dumps({"uri": uri, "key": KEY})
    store.hset("haat:ingest:pulls", STREAM, sealed.Seal(key).close(body, about=STREAM))


def restart(plane: Plane, key: str, **settings: str) -> None:
    plane.kill("ingest")
    plane.start("ingest", HAAT_SEAL_KEY=key, **settings)


@pytest.mark.slow
async def test_a_source_is_shown_and_read_again_when_it_ends(
    plane: Plane, viewer: httpx.AsyncClient, film: str
) -> None:
    key = sealed.new_key()
    order(plane, key, film)
    restart(plane, key, HAAT_PULL_NETWORKS="127.0.0.0/8")
    await eventually(lambda: master(viewer))
    first = numbers(await eventually(lambda: enough(viewer, "180p", 3)))
    later = await eventually(lambda: enough(viewer, "180p", SECONDS + 3), seconds=40)
    assert numbers(later)[0] == first[0]
    assert "EXT-X-DISCONTINUITY" in later  # the second showing
    assert plane.log("ingest").count("pulling") >= 2


async def test_a_private_source_is_refused_and_the_log_holds_no_key(plane: Plane, film: str) -> None:
    key = sealed.new_key()
    order(plane, key, film.replace("http://", "http://rina:secret@"))
    restart(plane, key)

    async def refused() -> bool:
        return "not a public address" in plane.log("ingest")

    await eventually(refused)
    assert "secret" not in plane.log("ingest")
    assert KEY not in plane.log("ingest")


@pytest.mark.slow
async def test_another_pod_goes_on_with_the_source(plane: Plane, viewer: httpx.AsyncClient, film: str) -> None:
    key = sealed.new_key()
    order(plane, key, film)
    restart(plane, key, HAAT_PULL_NETWORKS="127.0.0.0/8")
    await eventually(lambda: master(viewer))
    plane.kill("ingest")
    plane.start("ingest", HAAT_SEAL_KEY=key, HAAT_PULL_NETWORKS="127.0.0.0/8", POD_NAME="another-pod")

    async def again() -> bool:
        return plane.log("ingest").count("pulling") >= 2

    await eventually(again, seconds=30)
