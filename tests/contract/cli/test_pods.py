"""`haat logs` and `top` with pods that run: a devcluster node beside the API server."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.cli.paths import ROOT
from tests.contract.cli.conftest import Cluster

pytestmark = pytest.mark.slow

READY_SECONDS = 60.0
TALK = "import time\nfor n in range(10**6):\n    print(f'{WHO} line {n}', flush=True)\n    time.sleep(0.2)\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_node(api: Cluster, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until the node has announced itself; its last words when it ended."""
    deadline = time.monotonic() + READY_SECONDS
    while not api.ask("GET", "/api/v1/nodes")["items"]:
        assert process.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.1)


@pytest.fixture(scope="module")
def node(api: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A node that runs pods as processes."""
    folder = tmp_path_factory.mktemp("node")
    command = [sys.executable, "-m", "hack.devcluster.node", "--kubeconfig", str(api.kubeconfig)]
    command += ["--state-dir", str(folder), "--checkout", str(ROOT), "--ingress-port", str(free_port())]
    command.append("--die-with-parent")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        wait_node(api, process, folder / "log")
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def talking(api: Cluster, shop: tuple[str, Any], node: None) -> tuple[str, Any]:
    """A shop whose stream has a transcoder and a room that talk."""
    namespace, _ = shop
    for part in ("transcoder", "fanout"):
        labels = {"haat.dev/owner": "livestream.launch", "app.kubernetes.io/name": part}
        script = TALK.replace("{WHO}", part)
        container = {"name": part, "image": "python:3.12-alpine", "command": ["python", "-u", "-c", script]}
        spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
        pod = {"metadata": {"name": f"launch-{part}-0", "labels": labels}, "spec": spec}
        api.ask("POST", f"/api/v1/namespaces/{namespace}/pods", pod)
    deadline = time.monotonic() + READY_SECONDS
    path = f"/api/v1/namespaces/{namespace}/pods"
    while any((pod.get("status") or {}).get("phase") != "Running" for pod in api.ask("GET", path)["items"]):
        assert time.monotonic() < deadline, json.dumps(api.ask("GET", path))[:2000]
        time.sleep(0.1)
    return shop


def lines_until(process: "subprocess.Popen[str]", count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline() for _ in range(count)]


def test_logs_of_all_pods_are_merged_by_time(talking: tuple[str, Any]) -> None:
    _, haat = talking
    deadline = time.monotonic() + READY_SECONDS
    while "line 2" not in (text := haat("logs", "launch").stdout):
        assert time.monotonic() < deadline, text
    assert "launch-transcoder-0 transcoder line 0" in text
    assert "launch-fanout-0     fanout line 0" in text
    one = haat("logs", "launch", "fanout", "--tail", "1").stdout.splitlines()
    assert len(one) == 1
    assert "fanout line" in one[0]


def test_follow_goes_on_until_it_is_stopped(api: Cluster, talking: tuple[str, Any]) -> None:
    namespace, _ = talking
    command = [sys.executable, "-m", "hack.cli", "logs", "launch", "-n", namespace, "-f", "--tail", "1"]
    environment = os.environ | {"KUBECONFIG": str(api.kubeconfig), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(READY_SECONDS, process.kill)
    watchdog.start()
    try:
        seen = lines_until(process, 8)
    finally:
        watchdog.cancel()
        process.terminate()
        process.wait(10)
    assert {line.split()[0] for line in seen} == {"launch-transcoder-0", "launch-fanout-0"}


def test_describe_shows_the_pods(talking: tuple[str, Any]) -> None:
    _, haat = talking
    children = json.loads(haat("describe", "stream", "launch", "-o", "json").stdout)["children"]
    assert {"kind": "Pod", "name": "launch-fanout-0", "ready": "Running"} in children


def test_top_has_the_cpu_of_the_streams_pods(talking: tuple[str, Any]) -> None:
    _, haat = talking
    deadline = time.monotonic() + READY_SECONDS
    while (row := json.loads(haat("top", "launch", "-o", "json").stdout)["items"][0])["cpu"] is None:
        assert time.monotonic() < deadline, row
    assert 0 <= row["cpu"] < 8


def test_a_folder_of_the_checkout_is_not_needed(api: Cluster, tmp_path: Path) -> None:
    """The CLI finds its parts wherever it is called from."""
    environment = os.environ | {"KUBECONFIG": str(api.kubeconfig), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "hack.cli", "get", "-A"]
    found = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 0, found.stderr
