"""`POST /api/v1/qoe`: what players tell about playback. Anybody may send it: only known streams and sane numbers count.

Browsers send it as they leave (`navigator.sendBeacon`), as text/plain and without waiting for the answer.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from workloads.common.body import read_body
from workloads.common.directory import DirectoryUnavailable
from workloads.common.origins import NotLive, Origins, UnknownStream
from workloads.common.problem import Problem
from workloads.edge.deliver.policy import is_stream_id
from workloads.edge.measure.quality import Beacon, Quality

QOE_PATH = "/api/v1/qoe"
MAX_BODY_BYTES = 4096
_CORS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
Milliseconds = Annotated[int, Field(ge=0, le=3_600_000)]
Number = Annotated[int, Field(ge=0, le=1000)]


class Told(BaseModel):
    """The body; times in milliseconds since the last one, `startup_ms` once a session."""

    model_config = ConfigDict(extra="forbid")

    stream: str = Field(max_length=506)
    session: str = Field("", max_length=64)
    startup_ms: Milliseconds | None = None
    watched_ms: Milliseconds = 0
    stalls: Number = 0
    stall_ms: Milliseconds = 0
    bitrate_kbps: int = Field(0, ge=0, le=1_000_000)
    errors: Number = 0
    fatal: Number = 0


class Beacons:
    """The endpoint."""

    def __init__(self, origins: Origins, quality: Quality) -> None:
        self._origins = origins
        self._quality = quality

    async def handle(self, request: Request) -> Response:
        """204; Problem 400, 404, 413 or 422."""
        if request.method == "OPTIONS":
            allowed = {"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "Content-Type"}
            return Response(status_code=204, headers=_CORS | allowed)
        told = await read_body(request, Told, name="beacon", max_bytes=MAX_BODY_BYTES)
        await self._check(told.stream)
        self._quality.beacon(told.stream, Beacon(**told.model_dump(exclude={"stream"})))
        return Response(status_code=204, headers=_CORS)

    async def _check(self, stream: str) -> None:
        try:
            if not is_stream_id(stream):
                raise UnknownStream(stream)
            await self._origins.find(stream)
        except UnknownStream:
            raise Problem(404, "unknown_stream", "There is no such stream.") from None
        except (NotLive, DirectoryUnavailable):
            return
