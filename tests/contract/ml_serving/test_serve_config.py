"""The real pod: Ray and Ray Serve as a process of its own, over HTTP, through a change and both ends."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.servers import ROOT, RedisServer
from workloads.common import events
from workloads.common.redis import connect

START_SECONDS = 90.0


class Pod:
    """`python -m ml_serving.serve_config` on a loopback address of its own."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.file = folder / "serve.yaml"
        self.temporary = folder / "tmp"
        self.output = folder / "output"
        self.temporary.mkdir()
        self.address = f"127.{random.randint(100, 120)}.{random.randint(1, 250)}.{random.randint(1, 250)}"
        self.base = f"http://{self.address}:8000"
        self._environment = os.environ | {
            "POD_IP": self.address,
            "HAAT_REDIS_URL": redis_url,
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(self.temporary),
            "HOME": str(folder),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ml_serving.serve_config", str(self.file)],
                env=self._environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def configure(self, **user_config: Any) -> None:
        application = {
            "name": "co-view",
            "route_prefix": "/recommendations",
            "import_path": "ml_serving.apps.recommendations:build",
            "args": {"num_cpus": 0.2, "user_config": user_config},
        }
        fresh = self.file.with_name("fresh")
        fresh.write_text(yaml.safe_dump({"http_options": {"port": 8000}, "applications": [application]}))
        fresh.replace(self.file)

    def family(self) -> set[int]:
        """Every process below this one, by parentage."""
        assert self.process is not None
        parents = {pid: parent_of(pid) for pid in processes()}
        family = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= more
        return family

    def ray_folder(self) -> Path:
        """Where this pod's Ray keeps its sockets and logs, from the command line of one of its servers."""
        for pid in self.family():
            for word in Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0"):
                if word.startswith("--log_dir="):
                    return Path(word.partition("=")[2]).parents[2]
        raise AssertionError("no server of Ray is running")

    def ask(self, **body: Any) -> httpx.Response:
        return httpx.post(f"{self.base}/recommendations", json=body, timeout=10)


def processes() -> set[int]:
    return {int(entry) for entry in os.listdir("/proc") if entry.isdigit()}


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def running(pids: set[int]) -> set[int]:
    """Those that still run; a zombie does not."""

    def state(pid: int) -> str:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return "X"

    return {pid for pid in pids if state(pid) not in "XZ"}


def until(check: Any, *, seconds: float = START_SECONDS) -> Any:
    """The first true value; an HTTP error counts as false."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            value = check()
        except httpx.HTTPError as error:
            value, reason = None, repr(error)
        else:
            reason = repr(value)
        if value:
            return value
        assert time.monotonic() < deadline, reason
        time.sleep(0.1)


@pytest.fixture
def pod(tmp_path: Path, shared_redis: RedisServer) -> Iterator[Pod]:
    pod = Pod(tmp_path, shared_redis.url)
    try:
        yield pod
    finally:
        if pod.process is not None and pod.process.poll() is None:
            pod.process.kill()
            pod.process.wait(10)


def look(url: str, stream: str, *looks: tuple[str, str]) -> None:
    async def send() -> None:
        redis = connect(url)
        await redis.xadd(events.STREAM, {"kind": "product.view", "id": ""})
        for user, sku in looks:
            await events.emit(redis, events.new_event("product.view", stream=stream, user=user, data={"sku": sku}))
        await redis.aclose()

    asyncio.run(send())


def test_a_wrong_document_ends_the_start_at_once(pod: Pod) -> None:
    pod.file.write_text("applications: 1")
    pod.start()
    assert pod.process is not None
    assert pod.process.wait(60) == 2
    last = json.loads(pod.output.read_text().splitlines()[-1])
    assert last["field"] == "applications"
    assert not list(pod.temporary.iterdir())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_pod_serves_follows_its_file_and_leaves_nothing(pod: Pod, shared_redis: RedisServer) -> None:
    stream = f"pod/{uuid.uuid4().hex}"
    pod.configure()
    for stop, status in ((signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)):
        pod.start()
        assert pod.process is not None
        until(lambda: httpx.get(f"{pod.base}/-/healthz", timeout=5).status_code == 200)
        until(lambda: httpx.get(f"{pod.base}/recommendations/healthz", timeout=5).status_code == 200)
        if stop is signal.SIGTERM:
            serves(pod, stream, shared_redis.url)
        else:
            # What was counted before this start is still known.
            assert [item["sku"] for item in pod.ask(stream=stream, sku="A").json()["items"]] == ["B", "C"]
        family, folder = pod.family(), pod.ray_folder()
        assert len(family) > 5
        assert folder.is_dir()
        pod.process.send_signal(stop)
        assert pod.process.wait(30) == status
        until(lambda family=family: not running(family), seconds=20)
        until(lambda folder=folder: not folder.exists(), seconds=20)
    assert not (pod.file.parent / ".ray").exists()


def serves(pod: Pod, stream: str, redis_url: str) -> None:
    """Answers, takes events in, refuses, ignores a wrong document, takes a right one."""
    assert pod.ask(stream=stream, sku="A").json()["items"] == []
    look(redis_url, stream, ("u", "A"), ("u", "B"), ("v", "C"))
    until(lambda: len(pod.ask(stream=stream, sku="A").json()["items"]) == 2, seconds=10)
    refused = pod.ask(stream=stream, sku="A", limit="many")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "body.limit")
    pod.file.write_text("applications: [")
    until(lambda: "the configuration is not taken over" in pod.output.read_text(), seconds=20)
    assert pod.ask(stream=stream, sku="A").status_code == 200
    pod.configure(popular=False)
    until(lambda: [item["sku"] for item in pod.ask(stream=stream, sku="A").json()["items"]] == ["B"], seconds=60)
    pod.configure()
    until(lambda: len(pod.ask(stream=stream, sku="A").json()["items"]) == 2, seconds=60)
    # A replica's own log lines come out of the pod.
    assert "an event is left out" in pod.output.read_text()
