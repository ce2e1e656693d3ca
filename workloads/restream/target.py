"""One target: an ffmpeg that copies the origin's highest rendition to it, started again when it ends.

Nothing is encoded. Each target has a process of its own, so a slow or dead platform costs the others nothing; what it
missed is not sent later, because live platforms want what is live.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from workloads.common.directory import DirectoryUnavailable
from workloads.common.loops import going_on
from workloads.common.origins import NotLive, UnknownStream

SCHEMES = ("rtmp", "rtmps", "srt")
FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS, LONG_LIFE_SECONDS = 1.0, 30.0, 30.0
SETTLED_SECONDS = 3.0
"""A connection that lasts this long counts as accepted: refusals come at once."""
_WORDS = 4

logger = logging.getLogger(__name__)


def command(ffmpeg: str, playlist: str, url: str) -> list[str]:
    """ffmpeg that copies the best variant of a live playlist to a publish URL."""
    reading = ["-protocol_whitelist", "http,tcp", "-live_start_index", "-2", "-i", playlist]
    container = "mpegts" if url.startswith("srt:") else "flv"
    writing = ["-map", "0:v:0", "-map", "0:a:0?", "-c", "copy", "-flvflags", "no_duration_filesize", "-f", container]
    return [ffmpeg, "-hide_banner", "-nostats", "-nostdin", "-loglevel", "error", *reading, *writing, url]


class Target:
    """`run` until cancelled; `report` is for the heartbeat and holds no address."""

    def __init__(self, name: str, url: str, ffmpeg: str, playlist: Callable[[], Awaitable[str]]) -> None:
        self.name = name
        self.url = url
        self.state = "Connecting"
        self.reason = ""
        self.attempts = 0
        self._since = time.time()
        self._ffmpeg = ffmpeg
        self._playlist = playlist

    def report(self) -> dict[str, Any]:
        """What people are told of this target."""
        body: dict[str, Any] = {"state": self.state, "since_ms": int(self._since * 1000), "attempts": self.attempts}
        return body | ({"reason": self.reason} if self.reason else {})

    async def run(self) -> None:
        """Send, again and again."""
        if urlsplit(self.url).scheme not in SCHEMES:
            self._set("Failed", f"the address must begin with {', '.join(SCHEMES)}")
            return
        pause = FIRST_PAUSE_SECONDS
        while going_on():
            began = time.monotonic()
            try:
                await self._send()
            except (UnknownStream, NotLive, DirectoryUnavailable):
                self._set("Waiting", "the stream is not on air")
            except OSError as error:
                self._set("Failed", f"ffmpeg cannot be started: {error}")
            if time.monotonic() - began > LONG_LIFE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, MOST_PAUSE_SECONDS)

    async def _send(self) -> None:
        playlist = await self._playlist()
        self.attempts += 1
        process = await asyncio.create_subprocess_exec(
            *command(self._ffmpeg, playlist, self.url),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        listening = asyncio.create_task(self._listen(process.stderr))
        settling = asyncio.get_running_loop().call_later(SETTLED_SECONDS, self._set, "Live", "")
        try:
            status = await process.wait()
        finally:
            settling.cancel()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            words = await listening
        self._set("Failed", words or f"the connection ended ({status})")

    async def _listen(self, stream: asyncio.StreamReader | None) -> str:
        """The last lines, without the address, which holds the other platform's key."""
        words: deque[str] = deque(maxlen=_WORDS)
        while stream is not None and (line := await stream.readline()):
            words.append(line.decode("utf-8", "replace").strip())
        return " | ".join(words).replace(self.url, "the target")[:300]

    def _set(self, state: str, reason: str) -> None:
        if (state, reason) != (self.state, self.reason):
            logger.info("target %s: %s", self.name, state, extra={"reason": reason})
            if state != self.state:
                self._since = time.time()
        self.state, self.reason = state, reason
