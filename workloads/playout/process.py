"""Running ffmpeg: standard output or input as pipes, the last words kept for the log without any secret in them."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence

END_SECONDS = 2.0
_WORDS = 6

logger = logging.getLogger(__name__)


class Process:
    """Made by `start`, ended by `stop`; `exited` is done when it ended for whatever reason."""

    def __init__(self, process: asyncio.subprocess.Process, secret: str) -> None:
        self._process = process
        self._secret = secret
        self._words: deque[str] = deque(maxlen=_WORDS)
        self._listening = asyncio.create_task(self._listen())
        self.exited = asyncio.create_task(process.wait())

    @classmethod
    async def start(cls, command: Sequence[str], *, feed: bool = False, secret: str = "") -> "Process":
        """Start it, with its input as a pipe when it is to be fed, else its output. OSError when it cannot be."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE if feed else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL if feed else asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return cls(process, secret)

    @property
    def output(self) -> asyncio.StreamReader | None:
        """Its standard output."""
        return self._process.stdout

    @property
    def input(self) -> asyncio.StreamWriter | None:
        """Its standard input."""
        return self._process.stdin

    @property
    def last_words(self) -> str:
        """The last lines of its standard error."""
        text = " | ".join(self._words)
        return text.replace(self._secret, "***") if self._secret else text

    async def stop(self) -> None:
        """End it: asked first, then made to."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            await asyncio.wait({self.exited}, timeout=END_SECONDS)
        self.kill()
        await self.exited
        await self._listening

    def kill(self) -> None:
        """End it at once."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _listen(self) -> None:
        stream = self._process.stderr
        while stream is not None:
            try:
                line = await stream.readline()
            except ValueError:
                continue  # a line longer than the buffer: its head is lost, the next ones count
            if not line:
                return
            self._words.append(line.decode("utf-8", "replace").strip())
