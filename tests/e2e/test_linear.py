"""A channel that is always on air: its programme is planned, shown and published without a host."""

import functools
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import imageio_ffmpeg
import pytest

from tests.e2e.conftest import Platform, wait_for
from tests.e2e.test_platform import phase

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.usefixtures("needs_kubectl"),
    pytest.mark.timeout(400),
]


@pytest.fixture
def film(tmp_path: Path) -> Iterator[str]:
    """The address of a film of a minute."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error"]
    command += ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-f", "lavfi", "-i", "sine=frequency=330"]
    command += ["-t", "60", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac"]
    subprocess.run([*command, "-movflags", "+faststart", str(tmp_path / "film.mp4")], check=True, timeout=120)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/film.mp4"
        server.shutdown()


def test_a_linear_channel_shows_its_film_and_fills_the_gaps(platform: Platform, film: str) -> None:
    slot = {"name": "film", "cron": "*/2 * * * *", "duration": "1m", "vodUri": film}
    spec = {"displayName": "Haat Tele", "slug": "tele", "mode": "Linear", "deletionPolicy": "Delete"}
    spec |= {"programming": {"timezone": "Asia/Dhaka", "slots": [slot]}}
    manifest = {
        "apiVersion": "haat.dev/v1alpha1",
        "kind": "Channel",
        "metadata": {"name": "tele", "namespace": "shop"},
        "spec": spec,
    }
    platform.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    wait_for(lambda: phase(platform, "tele-linear") == "Live", seconds=90)
    page = platform.endpoints["viewer"].rpartition("/s/")[0] + "/c/tele"
    assert httpx.get(page, timeout=10).headers["location"].endswith("/s/shop/tele-linear")
    shown = set()

    def both() -> bool:
        now = platform.get("channel", "tele")["status"]["programming"]["now"]
        shown.add(now["slot"])
        return shown == {"film", ""}

    wait_for(both, seconds=150, interval=2)
    base = platform.endpoints["hls"].replace("shop/launch/master.m3u8", "shop/tele-linear/360p/media.m3u8")
    assert "#EXT-X-DISCONTINUITY\n" not in httpx.get(base, timeout=10).text
    platform.kubectl("-n", "shop", "delete", "channel/tele", "--timeout=90s")
    wait_for(lambda: not platform.get("livestream", "tele-linear"), seconds=60)
