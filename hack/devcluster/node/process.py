"""One child process with a session of its own, waited for through a pidfd.

Trap avoided: asyncio's default child watcher takes a thread per child. A pidfd is readable when the child ends, so
waiting costs one descriptor.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from hack.devcluster.node.reaper import kill_marked

_LAUNCHER = Path(__file__).with_name("launcher.py")


class Process:
    """A running process group; `exited` resolves to the exit code (128 + number after a signal)."""

    def __init__(self, popen: "subprocess.Popen[bytes]") -> None:
        self.pid = popen.pid
        self._popen = popen
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int] = loop.create_future()
        self._pidfd = os.pidfd_open(popen.pid)
        loop.add_reader(self._pidfd, self._reap)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        code = self._popen.wait()
        # Those left in the group lose their container with its first process.
        self._signal_group(signal.SIGKILL)
        if not self.exited.done():
            self.exited.set_result(128 - code if code < 0 else code)

    @property
    def running(self) -> bool:
        return not self.exited.done()

    def terminate(self, number: int = signal.SIGTERM) -> None:
        """The stop signal to the first process only, as a container runtime does."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        if self.running:
            self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def wait(self, timeout: float | None = None) -> int | None:
        """Exit code, or None when it still runs after `timeout` seconds."""
        try:
            return await asyncio.wait_for(asyncio.shield(self.exited), timeout)
        except TimeoutError:
            return None


def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    output: int,
    stdin: int = subprocess.DEVNULL,
    errors: int | None = None,
) -> Process:
    """Start a command through the launcher; `output` and `errors` are descriptors. Raises OSError."""
    arguments = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(folder), *command]
    popen = subprocess.Popen(
        arguments,
        env=dict(environment),
        stdin=stdin,
        stdout=output,
        stderr=output if errors is None else errors,
        start_new_session=True,
    )
    return Process(popen)


async def kill_strays(marker: str) -> int:
    """Kill processes that left their group but still carry the marker; scans /proc off the loop."""
    return await asyncio.to_thread(kill_marked, marker.encode(), rounds=10)


class Reaper:
    """The helper process that outlives the agent for a moment to clean up after it."""

    def __init__(self, marker: str) -> None:
        reading, self._pipe = os.pipe()
        os.set_inheritable(self._pipe, False)
        script = str(Path(__file__).with_name("reaper.py"))
        self._popen = subprocess.Popen(
            [sys.executable, "-I", "-S", script, marker],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            env={"PATH": os.defpath},
        )
        os.close(reading)

    async def close(self) -> None:
        """Let it do its round and wait for its end."""
        os.close(self._pipe)
        await asyncio.to_thread(self._popen.wait, 10)
