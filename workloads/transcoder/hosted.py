"""One stream on this pod: its media, its publisher, its origin and its signs of life, put together and taken apart.

A pod hosts one stream of its own or several of a pool's (`pool`); between two of them nothing is shared but `Tools`,
so that what happens to one is no other's business.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from redis.asyncio import Redis

from workloads.common.heartbeat import Heartbeat
from workloads.common.problem import Problem
from workloads.transcoder.config import StreamKey, StreamSpec, TranscoderSettings
from workloads.transcoder.frames import Frames
from workloads.transcoder.metrics import Metrics
from workloads.transcoder.origin import Origin
from workloads.transcoder.publish import Publisher
from workloads.transcoder.stream import Stream
from workloads.transcoder.studio import heartbeat


@dataclass(frozen=True, slots=True)
class Tools:
    """What all streams of a process use. `store` must not retry: a heartbeat that is late is worth nothing."""

    settings: TranscoderSettings
    ffmpeg: str
    metrics: Metrics
    store: Redis


class Hosted:
    """Made idle; `start` it, then `close` it, or `retire` it first when another pod takes over."""

    def __init__(self, spec: StreamSpec, tools: Tools, *, own_key: Callable[[], str] = lambda: "") -> None:
        settings = tools.settings
        self.stream = Stream(spec, window_seconds=settings.dvr_seconds, max_bytes=settings.max_window_bytes)
        self.publisher = Publisher(self.stream, settings, tools.ffmpeg, tools.metrics)
        self.origin = Origin(self.stream, tools.metrics)
        self.frames = Frames(self.stream, tools.metrics)
        self.own_key = own_key
        self.on_transition: Callable[[], None] = lambda: None
        self._metrics = tools.metrics
        self._beat = Heartbeat(
            tools.store, f"transcoder/{spec.stream}/{settings.pod_name}", lambda: heartbeat(self.stream)
        )
        self._beating: asyncio.Task[None] | None = None
        self.stream.on_transition = self._transition

    def start(self) -> None:
        """Give signs of life from now on."""
        if self._beating is None:
            self._metrics.watch(self.stream)
            self._beating = asyncio.create_task(self._beat.run())

    async def retire(self) -> None:
        """Let the publisher and the signs of life go; what viewers can still read stays."""
        self.publisher.draining = True
        self.stream.retire()
        await self.close()

    async def close(self) -> None:
        """End the publisher's session and the signs of life."""
        await self.publisher.close()
        beating, self._beating = self._beating, None
        if beating:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating
            self._metrics.forget(self.stream)

    def _transition(self) -> None:
        self._beat.nudge()
        self.on_transition()


class Streams(Protocol):
    """The streams of a process, as its HTTP interface sees them."""

    def find(self, stream: str) -> Hosted | None:
        """The stream with this id, if this pod has (or just had) it."""
        ...

    async def by_key(self, key: str) -> Hosted:
        """The stream that a publisher with this key may publish to; Problem 401 when there is none, 503 when nobody
        can tell."""
        ...


class Solo:
    """The streams of a pod that serves one, with the mounted key."""

    def __init__(self, hosted: Hosted, key: StreamKey) -> None:
        self._hosted = hosted
        self._key = key

    def find(self, stream: str) -> Hosted | None:
        """The one stream."""
        return self._hosted if stream == self._hosted.stream.spec.stream else None

    async def by_key(self, key: str) -> Hosted:
        """The one stream, for who has its key."""
        if not self._key.accepts(key):
            raise unknown_key()
        return self._hosted


def unknown_key() -> Problem:
    """The refusal of a publisher whose key opens nothing."""
    return Problem(401, "stream_key", "The stream key is not valid.")
