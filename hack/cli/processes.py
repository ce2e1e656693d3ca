"""The two processes of the embedded cluster: started, watched and stopped together.

Both get a parent-death signal, so that even a SIGKILL of this process leaves nothing behind.
"""

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from hack.cli.errors import UserError
from hack.cli.paths import LOGS, ROOT

STOP_SECONDS = 25.0


class Server:
    """One long-running child with its log file."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @classmethod
    async def start(cls, name: str, module: str, arguments: Sequence[str]) -> "Server":
        """Run `python -m module arguments` with its output in .haat/logs/<name>.log."""
        LOGS.mkdir(parents=True, exist_ok=True)
        log = LOGS / f"{name}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                *arguments,
                "--die-with-parent",
                cwd=ROOT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(name, process, log)

    async def wait(self) -> int:
        """Exit status, when it ends."""
        return await self._process.wait()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    def failure(self) -> UserError:
        """Why it ended, from its log."""
        tail = "\n  ".join(self._log.read_text(errors="replace").splitlines()[-8:])
        return UserError(f"the {self.name} ended with status {self._process.returncode}; its last words:\n  {tail}")

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL when it takes too long."""
        if not self.running:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
