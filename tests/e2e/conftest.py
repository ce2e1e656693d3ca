"""The whole platform, once for all end-to-end tests: `haat up` with a state folder of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
UP_SECONDS = 240


@dataclass
class Platform:
    """A running platform and how to talk to it."""

    endpoints: dict[str, str]
    process: subprocess.Popen[bytes]
    state: Path

    def kubectl(self, *arguments: str, check: bool = True, stdin: str | None = None) -> str:
        """Output of kubectl against this platform."""
        result = subprocess.run(
            ["kubectl", "--kubeconfig", self.endpoints["kubeconfig"], *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check:
            assert result.returncode == 0, result.stderr
        return result.stdout + (result.stderr if not check else "")

    def get(self, kind: str, name: str, *, namespace: str = "shop") -> dict[str, Any]:
        """An object as a dict; empty when there is none."""
        text = self.kubectl("-n", namespace, "get", kind, name, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else {}

    def session(self, name: str = "Rina") -> str:
        """A guest's token."""
        answer = httpx.post(f"{self.endpoints['api']}/session", json={"name": name}, timeout=10)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    def pod_processes(self) -> dict[int, str]:
        """Process id -> command line of every process of this platform.

        A process belongs to it when its environment or command line names the state folder, or when it descends from
        one that does: Ray's processes overwrite their environment.
        """
        parents, named, commands = {}, set(), {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                environment, command = (entry / "environ").read_bytes(), (entry / "cmdline").read_bytes()
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            pid = int(entry.name)
            parents[pid] = parent
            commands[pid] = command.replace(b"\0", b" ").decode(errors="replace")[:120]
            if str(self.state).encode() in environment + command:
                named.add(pid)

        def belongs(pid: int) -> bool:
            while pid in parents and pid not in named:
                pid = parents[pid]
            return pid in named

        return {pid: commands[pid] for pid in parents if belongs(pid)}

    def kill(self, name: str) -> int:
        """SIGKILL to the platform's processes whose command line has `name`; how many there were."""
        victims = [pid for pid, command in self.pod_processes().items() if name in command]
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        return len(victims)


def wait_for(check: Any, *, seconds: float = 30.0, interval: float = 0.2) -> Any:
    """The first true value of `check()`."""
    deadline, value = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        value = check()
        if value:
            return value
        time.sleep(interval)
    raise AssertionError(f"not true within {seconds} s; last value: {value!r}")


def start(state: Path) -> Platform:
    """`haat up` and its endpoints."""
    log = (state / "up.log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "hack.cli", "up"],
        cwd=ROOT,
        env=os.environ | {"HAAT_STATE_DIR": str(state)},
        stdout=log,
        stderr=log,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    file = state / "endpoints.json"

    def up() -> bool:
        assert process.poll() is None, (state / "up.log").read_text()[-3000:]
        return file.exists()

    wait_for(up, seconds=UP_SECONDS)
    return Platform(json.loads(file.read_text()), process, state)


def stop(platform: Platform) -> None:
    """Ctrl-C."""
    platform.process.send_signal(signal.SIGINT)
    platform.process.wait(60)


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The running platform."""
    running = start(tmp_path_factory.mktemp("haat"))
    try:
        yield running
    finally:
        if running.process.poll() is None:
            stop(running)


@pytest.fixture(scope="session")
def needs_kubectl() -> None:
    """Skip loudly where kubectl is missing."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: cluster commands are NOT TESTED here")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of Chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("Chromium is not installed: the browser is NOT TESTED here")
    return found
