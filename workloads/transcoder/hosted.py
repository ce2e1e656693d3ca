"""One stream on this pod: its media, its publisher, its origin and its signs of life, put together and taken apart.

A pod hosts one stream of its own or several of a pool's (`pool`); between two of them nothing is shared but `Tools`,
so that what happens to one is no other's business.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from redis.asyncio import Redis

from workloads.common.heartbeat import Heartbeat
from workloads.common.mounted import ConfigError
from workloads.common.problem import Problem
from workloads.transcoder.config import StreamKey, StreamSpec, TranscoderSettings
from workloads.transcoder.encode.hardware import Hardware
from workloads.transcoder.metrics import Metrics
from workloads.transcoder.protect.keys import Keys
from workloads.transcoder.protect.protector import Protector
from workloads.transcoder.publish import Publisher
from workloads.transcoder.serve.frames import Frames
from workloads.transcoder.serve.origin import Origin
from workloads.transcoder.serve.push import Push
from workloads.transcoder.serve.studio import heartbeat
from workloads.transcoder.stream import Stream

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """What all streams of a process use. `store` must not retry: a heartbeat that is late is worth nothing."""

    settings: TranscoderSettings
    ffmpeg: str
    metrics: Metrics
    store: Redis
    hardware: Hardware = Hardware.CPU


class Hosted:
    """Made idle; `start` it, then `close` it, or `retire` it first when another pod takes over."""

    def __init__(self, spec: StreamSpec, tools: Tools, *, own_key: Callable[[], str] = lambda: "") -> None:
        settings = tools.settings
        protector, refusal = None, ""
        try:
            protector = _protector(spec, settings)
        except ConfigError as error:
            # Never in the clear, and no reason to take the other streams of a worker down.
            refusal = str(error)
            logger.error("the stream cannot be protected: %s", error, extra={"stream": spec.stream})
        self.stream = Stream(
            spec,
            window_seconds=settings.dvr_seconds,
            max_bytes=settings.max_window_bytes,
            protector=protector,
        )
        self.publisher = Publisher(self.stream, settings, tools.ffmpeg, tools.metrics)
        self.publisher.refusal = refusal
        self.publisher.hardware = tools.hardware
        self.origin = Origin(self.stream, tools.metrics)
        self.frames = Frames(self.stream, tools.metrics)
        self.push = Push(self.stream, tools.metrics)
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


def _protector(spec: StreamSpec, settings: TranscoderSettings) -> Protector | None:
    """What encrypts the stream; ConfigError when it must be and there is no secret: it is never sent in the clear."""
    if spec.drm is None:
        return None
    if settings.content_secret_file is None:
        raise ConfigError(f"{spec.stream} is protected and HAAT_CONTENT_SECRET_FILE is not set")
    try:
        return Protector(Keys(settings.content_secret_file.read_bytes().strip(), spec.stream, spec.drm))
    except (OSError, ValueError) as error:
        raise ConfigError(f"the content secret of {spec.stream} cannot be used: {error}") from error


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
