"""The one publication: an ffmpeg that copies the joint stream to the ingest, started again when it ends.

Its input is never waited for. While the ingest is away frames are lost and the programme goes on, so that the channel
is in time again as soon as the connection is back.
"""

import asyncio
import logging
import random
import time

from workloads.common.loops import going_on
from workloads.playout.command import publisher
from workloads.playout.config import KeyFile
from workloads.playout.metrics import Metrics
from workloads.playout.process import Process

FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS, LONG_LIFE_SECONDS = 0.5, 10.0, 30.0
MOST_WAITING_BYTES = 8 * 1024 * 1024
LONGEST_SECONDS = 14 * 86_400.0
"""RTMP time stamps have 32 bits of milliseconds; a new connection begins long before they are used up."""

logger = logging.getLogger(__name__)


class Publisher:
    """`run` keeps it alive; `write` feeds it."""

    def __init__(self, ffmpeg: str, rtmp_url: str, key: KeyFile, metrics: Metrics) -> None:
        self._ffmpeg = ffmpeg
        self._rtmp_url = rtmp_url
        self._key = key
        self._metrics = metrics
        self._process: Process | None = None
        self._started = 0.0

    @property
    def connected(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and not self._process.exited.done()

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._started if self.connected else 0.0

    def write(self, data: bytes) -> None:
        """Pass bytes on; they are lost while there is no connection."""
        process = self._process
        if process is None or process.input is None or process.exited.done() or process.input.is_closing():
            return
        if process.input.transport.get_write_buffer_size() > MOST_WAITING_BYTES:
            logger.warning("the ingest takes nothing any more; the connection is made anew")
            process.kill()
            return
        process.input.write(data)

    def restart(self) -> None:
        """End the connection; `run` makes a new one, with the key of then."""
        if self._process is not None:
            self._process.kill()

    async def run(self) -> None:
        """Publish until cancelled."""
        pause = FIRST_PAUSE_SECONDS
        try:
            while going_on():
                began = time.monotonic()
                await self._publish()
                pause = FIRST_PAUSE_SECONDS if time.monotonic() - began > LONG_LIFE_SECONDS else pause
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, MOST_PAUSE_SECONDS)
        finally:
            if self._process is not None:
                await self._process.stop()

    async def _publish(self) -> None:
        key = self._key.read()
        if not key or not self._rtmp_url:
            logger.warning("there is no stream key or no ingest to publish to")
            return
        self._started = time.monotonic()
        self._process = await Process.start(publisher(self._ffmpeg, f"{self._rtmp_url}/{key}"), feed=True, secret=key)
        self._metrics.connections.inc()
        logger.info("publishing")
        status = await self._process.exited
        logger.warning("the publication ended", extra={"status": status, "words": self._process.last_words})
