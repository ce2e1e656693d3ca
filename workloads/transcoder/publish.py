"""`POST /ingest`: one publish session, from the first frame to the last.

The free place is checked before the body is asked for, as the key is before that (`app`), because asking is what sends
`100 Continue`, and 100 means accepted. When the encoder fails the request is answered with 502: ingest opens a new
session with the decoder configuration and the current group of pictures, so encoder failure and pod failure recover by
the same path.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from workloads.common import flv
from workloads.common.cmaf.fragment import Fragment, Init
from workloads.common.problem import Problem
from workloads.transcoder.command import EncodePlan
from workloads.transcoder.config import TranscoderSettings
from workloads.transcoder.encoder import Encoder, EncoderError, Sink
from workloads.transcoder.ladder import choose
from workloads.transcoder.metrics import Metrics
from workloads.transcoder.source import Probe
from workloads.transcoder.stream import Stream

STALL_SECONDS = 10.0
SILENCE_SECONDS = 40.0
MAX_BACKLOG_SECONDS = 10.0
PROTOCOLS = ("rtmp", "srt", "whip", "pull")

logger = logging.getLogger(__name__)


class Publisher:
    """Handles publish sessions of one stream, one at a time.

    `encoder_memory_bytes` bounds what an encoder may allocate; 0 is no bound.
    """

    def __init__(self, stream: Stream, settings: TranscoderSettings, ffmpeg: str, metrics: Metrics) -> None:
        self._stream = stream
        self._settings = settings
        self._ffmpeg = ffmpeg
        self._metrics = metrics
        self._current: asyncio.Task[None] | None = None
        self.draining = False
        self.encoder_memory_bytes = 0

    async def handle(self, request: Request) -> Response:
        """The endpoint; raises Problem 409 or 503 before and 400 or 502 after the publisher was accepted."""
        self._admit()
        self._stream.protocol = _protocol(request)
        session = Session(
            self._stream,
            self._settings,
            self._ffmpeg,
            backlog_seconds=_backlog_seconds(request),
            encoder_memory_bytes=self.encoder_memory_bytes,
        )
        task = self._current = asyncio.create_task(session.run(request))
        try:
            await asyncio.shield(task)
        except flv.FlvError as error:
            return _closing(Problem(400, "not_flv", f"The body is not FLV: {error}."))
        except EncoderError as error:
            self._metrics.encoder_failures.labels(self._stream.spec.stream).inc()
            logger.error("encoder failed: %s", error, extra={"stream": self._stream.spec.stream})
            return _closing(Problem(502, "encoder_failed", "The encoder ended; publish again."))
        except asyncio.CancelledError:
            if not task.cancelled():
                task.cancel()
                raise
            return _closing(Problem(503, "draining", "This transcoder is going away."))
        finally:
            self._current = None
        return JSONResponse({"status": "ended"})

    async def close(self) -> None:
        """Take no publisher any more and end the current one."""
        self.draining = True
        if self._current:
            self._current.cancel()
            await asyncio.wait([self._current], timeout=5)
        self._stream.close_feeds()

    async def ended(self) -> None:
        """Wait until the current publisher has gone by itself."""
        if self._current:
            await asyncio.wait([self._current])

    def _admit(self) -> None:
        if self.draining:
            raise Problem(503, "draining", "This transcoder is going away.", retry_after_seconds=1)
        if self._current:
            raise Problem(409, "already_publishing", "Another publisher is live.")


class Session:
    """One publisher's media on its way into one encoder."""

    def __init__(
        self,
        stream: Stream,
        settings: TranscoderSettings,
        ffmpeg: str,
        *,
        backlog_seconds: float = 0.0,
        encoder_memory_bytes: int = 0,
    ) -> None:
        self._stream = stream
        self._settings = settings
        self._ffmpeg = ffmpeg
        self._backlog_seconds = backlog_seconds
        self._encoder_memory_bytes = encoder_memory_bytes
        self._tags = flv.TagReader()
        self._probe = Probe()
        self._held: list[bytes] = []
        self._offset_seconds: float | None = None
        self._encoder: Encoder | None = None
        self._last_output = 0.0

    async def run(self, request: Request) -> None:
        """Until the publisher ends; FlvError or EncoderError when it cannot go on."""
        extra = {"stream": self._stream.spec.stream}
        self._stream.publishing()
        logger.info("publisher connected", extra=extra)
        try:
            async for data in _body(request):
                await self._take(data)
            if self._encoder:
                await self._encoder.finish()
        finally:
            if self._encoder:
                await self._encoder.kill()
            self._stream.finish()
            logger.info("publisher gone", extra=extra)

    async def _take(self, data: bytes) -> None:
        tags = self._tags.feed(data)
        frames = sum(tag.kind == flv.VIDEO and not flv.is_sequence_header(tag.kind, tag.payload) for tag in tags)
        self._stream.media_arrived(len(data), frames)
        if self._encoder:
            await self._feed(self._encoder, data)
            return
        self._held.append(data)
        for tag in tags:
            self._probe.add(tag)
        if tags and self._offset_seconds is None:
            self._offset_seconds = self._stream.media_time(self._backlog_seconds)
        if self._probe.ready():
            self._encoder = await self._start()
            held, self._held = b"".join(self._held), []
            await self._feed(self._encoder, held)

    async def _start(self) -> Encoder:
        source = self._probe.result()
        if not source.has_video:
            raise flv.FlvError("there is no video in it")
        plan = EncodePlan(
            rungs=tuple(choose(self._stream.spec.ladder, source, keep=self._stream.rungs)),
            audio=source.has_audio,
            ladder=self._stream.spec.ladder,
            offset_seconds=self._offset_seconds or self._stream.media_time(),
            preset=self._settings.x264_preset,
        )
        self._stream.begin(plan, source)
        encoder = await Encoder.start(self._ffmpeg, plan, self._sink(), memory_bytes=self._encoder_memory_bytes)
        self._last_output = asyncio.get_running_loop().time()
        logger.info(
            "encoder started",
            extra={"stream": self._stream.spec.stream, "pid": encoder.pid, "rungs": plan.names, "source": str(source)},
        )
        return encoder

    def _sink(self) -> Sink:
        loop = asyncio.get_running_loop()

        def sink(name: str, item: Init | Fragment) -> None:
            self._last_output = loop.time()
            self._stream.encoded(name, item)

        return sink

    async def _feed(self, encoder: Encoder, data: bytes) -> None:
        try:
            await asyncio.wait_for(encoder.write(data), STALL_SECONDS)
        except TimeoutError as error:
            raise EncoderError("the encoder takes no data") from error
        if asyncio.get_running_loop().time() - self._last_output > STALL_SECONDS:
            raise EncoderError(f"the encoder gives no output: {encoder.last_words}")


async def _body(request: Request) -> AsyncIterator[bytes]:
    """The pieces of the body; a lost connection or a long silence ends it."""
    pieces = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                data = await anext(pieces)
        except (StopAsyncIteration, ClientDisconnect, TimeoutError):
            return
        if data:
            yield data


def _protocol(request: Request) -> str:
    """What the host speaks with ingest, for people to read."""
    value = request.headers.get("haat-protocol", "rtmp")
    return value if value in PROTOCOLS else "rtmp"


def _backlog_seconds(request: Request) -> float:
    value = request.headers.get("haat-backlog-ms", "")
    return min(int(value) / 1000, MAX_BACKLOG_SECONDS) if value.isdecimal() else 0.0


def _closing(problem: Problem) -> Response:
    """The answer to a request whose body was not read to its end: the connection cannot be used again."""
    response = problem.response()
    response.headers["connection"] = "close"
    return response
