"""The media plane: from the host's first byte to a playable segment, and from the camera to the pixel."""

import base64
import json
import shutil
import time

import httpx

from benchmarks.cluster import resources
from benchmarks.platform import running
from benchmarks.report import Figure, figure, note, percentile
from tests.e2e import browser
from tests.e2e.conftest import Platform, wait_for
from tests.e2e.test_platform import publish

ROUNDS = 5
SAMPLES = 100


def run() -> list[Figure]:
    """All figures of this plane."""
    with running() as platform:
        return [first_segment(platform), *latency(platform)]


def first_segment(platform: Platform) -> Figure:
    """From starting ffmpeg to a playlist whose first segment can be fetched."""
    times = []
    for number in range(ROUNDS):
        name = f"media-{number}"
        for manifest in resources(name):
            platform.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
        platform.kubectl(
            "-n", "shop", "wait", f"lstream/{name}", "--for=jsonpath={.status.phase}=Standby", "--timeout=60s"
        )
        url = base64.b64decode(platform.get("secret", f"{name}-stream-key")["data"]["rtmp-url"]).decode()
        base = platform.endpoints["hls"].replace("shop/launch/master.m3u8", f"shop/{name}/")
        began = time.monotonic()
        host = publish(url, 30)
        wait_for(lambda base=base: playable(base), seconds=30, interval=0.05)
        times.append(time.monotonic() - began)
        host.kill()
        platform.kubectl("-n", "shop", "delete", "lstream", name, "--timeout=60s")
        platform.kubectl("-n", "shop", "delete", "channel", name, "--timeout=60s")
    return figure("publish to first segment playable, p95", percentile(times, 0.95), "s", bar=3)


def playable(base: str) -> bool:
    """Whether a segment of the lowest rung can be fetched."""
    try:
        text = httpx.get(f"{base}360p/media.m3u8", timeout=2).text
    except httpx.HTTPError:
        return False
    names = [line for line in text.splitlines() if line.endswith(".m4s") and not line.startswith("#")]
    return bool(names) and httpx.get(f"{base}360p/{names[-1]}", timeout=2).status_code == 200


def latency(platform: Platform) -> list[Figure]:
    """Push to pixel: the clock in the picture against the browser's, in hls.js on Chromium."""
    executable = shutil.which("chromium")
    if executable is None:
        note("no Chromium: push to pixel is not measured")
        return []
    with browser.page(executable) as page:
        page.goto(platform.endpoints["viewer"])
        wait_for(lambda: browser.read_clock(page), seconds=60)
        time.sleep(5)
        seen = []
        while len(seen) < SAMPLES:
            clock = browser.read_clock(page)
            if clock:
                seen.append(clock[0] / 1000)
            time.sleep(0.2)
    return [
        figure("push to pixel, LL-HLS with sound, p50", percentile(seen, 0.5), "s", bar=3),
        figure("push to pixel, LL-HLS with sound, p95", percentile(seen, 0.95), "s", bar=3),
    ]
