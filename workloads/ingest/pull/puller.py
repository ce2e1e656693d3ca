"""One pulled stream: ffmpeg reads the source, and what it gives goes the way of every publisher.

A source that ends or fails is tried again with growing pauses, for as long as somebody wants the stream.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from workloads.common.loops import going_on
from workloads.common.publication.relay import PublishRefused
from workloads.common.publication.routes import Network, Routes
from workloads.ingest.pull.source import SourceRefused, check, command
from workloads.ingest.transport import TransportPublication

FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS, LONG_LIFE_SECONDS = 1.0, 15.0, 30.0
SILENCE_SECONDS = 15.0
READ_BYTES = 64 * 1024

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be pulled: the stream, its source, and a key that its transcoder accepts."""

    stream: str
    uri: str
    key: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What all pullers of the process obey."""

    ffmpeg: str
    allowed: Sequence[Network]
    root: Path | None
    max_kbps: int


class Puller:
    """`run` until cancelled; `on_failure` gets a short label each time."""

    def __init__(self, order: Order, routes: Routes, rules: Rules, on_failure: Callable[[str], None]) -> None:
        self.order = order
        self._routes = routes
        self._rules = rules
        self._on_failure = on_failure

    async def run(self) -> None:
        """Pull, again and again."""
        pause = FIRST_PAUSE_SECONDS
        while going_on():
            began = time.monotonic()
            try:
                await self._pull()
            except SourceRefused as error:
                self._fail("source", str(error))
                pause = MOST_PAUSE_SECONDS
            except PublishRefused as error:
                self._fail(error.reason, error.description)
            except OSError as error:
                self._fail("encoder", f"ffmpeg cannot be started: {error}")
            if time.monotonic() - began > LONG_LIFE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, MOST_PAUSE_SECONDS)

    def _fail(self, label: str, text: str) -> None:
        self._on_failure(label)
        logger.warning("the source is not pulled: %s", text, extra={"stream": self.order.stream})

    async def _pull(self) -> None:
        await check(self.order.uri, allowed=self._rules.allowed, root=self._rules.root)
        publication = await TransportPublication.begin(
            self._routes, self.order.key, protocol="pull", max_kbps=self._rules.max_kbps
        )
        try:
            await self._copy(publication)
        finally:
            await publication.close()

    async def _copy(self, publication: TransportPublication) -> None:
        process = await asyncio.create_subprocess_exec(
            *command(self._rules.ffmpeg, self.order.uri),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        listening = asyncio.create_task(_last_words(process.stderr))
        logger.info("pulling", extra={"stream": self.order.stream, "pid": process.pid})
        try:
            while process.stdout and not publication.ended:
                data = await asyncio.wait_for(process.stdout.read(READ_BYTES), SILENCE_SECONDS)
                if not data:
                    break
                publication.feed(data)
                await publication.drain()
        except TimeoutError:
            self._fail("silent", f"the source was silent for {SILENCE_SECONDS:g} s")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            status = await process.wait()
            # ffmpeg repeats the address, which may hold credentials.
            words = (await listening).replace(self.order.uri, "the source")
            logger.info("the source ended", extra={"stream": self.order.stream, "status": status, "words": words})


async def _last_words(stream: asyncio.StreamReader | None) -> str:
    """The end of what a process wrote."""
    words = b""
    while stream and (data := await stream.read(READ_BYTES)):
        words = (words + data)[-500:]
    return words.decode("utf-8", "replace").strip().replace("\n", " | ")
