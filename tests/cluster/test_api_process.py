"""The server as a process: ready, clean stop, state across restarts and crashes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.aio import client, config

from .conftest import READY_SECONDS, until


class Server:
    """One devcluster API server on a state directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.kubeconfig.unlink(missing_ok=True)
        command = [sys.executable, "-m", "hack.devcluster.apiserver", "--port", "0", "--die-with-parent"]
        places = ["--state-dir", str(self.folder / "state"), "--kubeconfig-out", str(self.kubeconfig)]
        self.process = subprocess.Popen([*command, *places])
        deadline = time.monotonic() + READY_SECONDS
        while not self.kubeconfig.exists():
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(10)


@pytest.fixture
def server(tmp_path: Path, is_devcluster: bool) -> Iterator[Server]:
    if not is_devcluster:
        pytest.skip("only devcluster is started here")
    made = Server(tmp_path)
    made.start()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait(10)


async def core_of(server: Server) -> client.CoreV1Api:
    return client.CoreV1Api(await config.new_client_from_config(str(server.kubeconfig)))


async def test_state_survives_a_clean_stop(server: Server) -> None:
    core = await core_of(server)
    async with core.api_client:
        made = await core.create_namespaced_config_map("default", {"metadata": {"name": "one"}, "data": {"a": "b"}})
        await core.create_namespaced_config_map("default", {"metadata": {"name": "two"}})
        await core.delete_namespaced_config_map("two", "default")
    token = (server.folder / "state" / "admin.token").read_text()
    assert server.stop() == 0
    server.start()
    core = await core_of(server)
    async with core.api_client:
        kept = await core.list_namespaced_config_map("default")
        names = {item.metadata.name: item for item in kept.items}
        assert set(names) == {"kube-root-ca.crt", "one"}
        assert names["one"].metadata.uid == made.metadata.uid
        later = await core.create_namespaced_config_map("default", {"metadata": {"name": "three"}})
    assert int(later.metadata.resource_version) > int(made.metadata.resource_version)
    assert (server.folder / "state" / "admin.token").read_text() == token


async def test_a_crash_loses_little_and_versions_rise(server: Server) -> None:
    core = await core_of(server)
    async with core.api_client:
        made = await core.create_namespaced_config_map("default", {"metadata": {"name": "one"}})
        database = server.folder / "state" / "state.db-wal"

        async def journalled() -> bool:
            return b'"name":"one"' in database.read_bytes()

        await until(journalled)
    server.stop(signal.SIGKILL)
    server.start()
    core = await core_of(server)
    async with core.api_client:
        assert await core.read_namespaced_config_map("one", "default")
        later = await core.create_namespaced_config_map("default", {"metadata": {"name": "two"}})
    assert int(later.metadata.resource_version) > int(made.metadata.resource_version)


def test_secrets_are_private(server: Server) -> None:
    for path in (server.kubeconfig, server.folder / "state" / "admin.token", server.folder / "state" / "server.key"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_it_dies_with_its_parent(tmp_path: Path, is_devcluster: bool) -> None:
    if not is_devcluster or sys.platform != "linux":
        pytest.skip("Linux and devcluster only")
    command = [sys.executable, "-m", "hack.devcluster.apiserver", "--port", "0", "--die-with-parent"]
    command += ["--state-dir", str(tmp_path / "state"), "--kubeconfig-out", str(tmp_path / "kubeconfig")]
    script = (
        f"import subprocess, sys, time; p = subprocess.Popen({command!r}); print(p.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        deadline = time.monotonic() + READY_SECONDS
        while not (tmp_path / "kubeconfig").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        parent.kill()
        parent.wait(10)
    while time.monotonic() < deadline and _runs(child):
        time.sleep(0.02)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


def test_only_loopback_is_bound(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hack.devcluster.apiserver", "--port", "0", "--bind", "0.0.0.0"]
    command += ["--state-dir", str(tmp_path), "--kubeconfig-out", str(tmp_path / "k")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert "loopback" in done.stderr
