"""The API server away for a minute while a show is on air: viewers, chat and sales do not notice, and no work is missed."""

import contextlib
import itertools
import json
import os
import signal
import time
from collections.abc import Iterator

import httpx
import pytest
from websockets.sync.client import connect

from tests.e2e.conftest import Platform, wait_for
from tests.e2e.test_platform import CHANNEL, STREAM, phase

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.usefixtures("needs_kubectl"),
    pytest.mark.timeout(600),
]

OUTAGE_SECONDS = 60


@contextlib.contextmanager
def frozen_api_server(platform: Platform) -> Iterator[None]:
    """No answer to anybody: connections stay open and nothing comes, which is harder to notice than a refusal."""
    servers = [pid for pid, command in platform.pod_processes().items() if "hack.devcluster.apiserver" in command]
    assert servers
    for pid in servers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in servers:
            os.kill(pid, signal.SIGCONT)


def newest_segment(platform: Platform) -> int:
    """Media sequence number of the last listed segment of the 360p rung."""
    text = httpx.get(platform.endpoints["hls"].replace("master.m3u8", "360p/media.m3u8"), timeout=10).text
    names = [line for line in text.splitlines() if line.endswith(".m4s") and not line.startswith("#")]
    return int(names[-1].removesuffix(".m4s"))


def test_a_show_goes_on_without_the_api_server(platform: Platform) -> None:
    wait_for(lambda: phase(platform, "launch") == "Live", seconds=90)
    token = platform.session("Outage")
    hello = {"type": "hello", "token": token, "rooms": ["shop/launch"]}
    with connect(platform.endpoints["ws"], open_timeout=10) as room:
        room.send(json.dumps(hello))
        assert json.loads(room.recv(timeout=10))["type"] == "welcome"
        with frozen_api_server(platform):
            seen, until = [newest_segment(platform)], time.monotonic() + OUTAGE_SECONDS
            while time.monotonic() < until:
                time.sleep(5)
                seen.append(newest_segment(platform))
                room.send(json.dumps({"type": "ping"}))
                wait_for(lambda: json.loads(room.recv(timeout=5))["type"] == "pong", seconds=10, interval=0)
            assert all(after > before for before, after in itertools.pairwise(seen)), seen
            with connect(platform.endpoints["ws"], open_timeout=10) as late:
                late.send(json.dumps(hello))
                assert json.loads(late.recv(timeout=10))["type"] == "welcome"
    wait_for(lambda: "ok" in platform.kubectl("get", "--raw", "/readyz", check=False), seconds=60)
    platform.kubectl(
        "apply", "-f", "-", stdin=CHANNEL.format(name="after") + "---" + STREAM.format(name="after", channel="after")
    )
    wait_for(lambda: phase(platform, "after") == "Standby", seconds=90)
    assert phase(platform, "launch") == "Live"
    platform.kubectl("-n", "shop", "delete", "lstream/after", "channel/after", "--timeout=90s")
