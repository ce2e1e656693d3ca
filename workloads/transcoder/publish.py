"""`POST /ingest`: one publish session, from the first frame to the last.

The free place is checked before the body is asked for, as the key is before that (`app`), because asking is what sends
`100 Continue`, and 100 means accepted. When the encoder fails the request is answered with 502: ingest opens a new
session with the decoder configuration and the current group of pictures, so encoder failure and pod failure recover by
the same path.
"""

import asyncio
import logging

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from workloads.common import flv
from workloads.common.problem import Problem
from workloads.transcoder.config import TranscoderSettings
from workloads.transcoder.encode.encoder import EncoderError
from workloads.transcoder.encode.hardware import Hardware
from workloads.transcoder.metrics import Metrics
from workloads.transcoder.session import Session
from workloads.transcoder.stream import Stream

MAX_BACKLOG_SECONDS = 10.0
PROTOCOLS = ("rtmp", "srt", "whip", "pull")

logger = logging.getLogger(__name__)


class Publisher:
    """Handles publish sessions of one stream, one at a time.

    `encoder_memory_bytes` bounds what an encoder may allocate; 0 is no bound. `hardware` makes the renditions.
    """

    def __init__(self, stream: Stream, settings: TranscoderSettings, ffmpeg: str, metrics: Metrics) -> None:
        self._stream = stream
        self._settings = settings
        self._ffmpeg = ffmpeg
        self._metrics = metrics
        self._current: asyncio.Task[None] | None = None
        self.draining = False
        self.encoder_memory_bytes = 0
        self.hardware = Hardware.CPU
        self.refusal = ""

    async def handle(self, request: Request) -> Response:
        """The endpoint; raises Problem 409 or 503 before and 400 or 502 after the publisher was accepted."""
        self._admit()
        self._stream.protocol = _protocol(request)
        session = Session(
            self._stream,
            self._settings,
            self._ffmpeg,
            self._metrics,
            hardware=self.hardware,
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
        if self.refusal:
            raise Problem(503, "unusable", self.refusal, retry_after_seconds=10)
        if self._current:
            raise Problem(409, "already_publishing", "Another publisher is live.")


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
