"""`/api/v1/clips`: hosts and moderators order clips, whoever knows a clip's id may ask for it."""

import json
import time
from typing import Annotated, Any

import uuid_utils
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from workloads.common.bearer import require_claims
from workloads.common.problem import Problem
from workloads.common.tokens import Verifier
from workloads.recorder import layout
from workloads.recorder.clips.desk import Desk, Note
from workloads.recorder.index import Head
from workloads.recorder.replay.library import Library
from workloads.recorder.storage import StorageAway

WALL_CLOCK_MS = 100_000_000_000
"""From here on a moment is epoch milliseconds; below, milliseconds of the recording's play time."""

MAX_BODY_BYTES = 16 * 1024
Moment = Annotated[int, Field(ge=0, lt=1 << 53, strict=True)]


class Order(BaseModel):
    """The body of `POST /api/v1/clips`."""

    model_config = ConfigDict(extra="forbid")

    stream: str = Field(pattern=layout.STREAM.pattern, max_length=506)
    recording: str = Field("", max_length=64)
    start_ms: Moment
    end_ms: Moment
    title: str = Field("", max_length=200)


class Clips:
    """The endpoints."""

    def __init__(self, desk: Desk, library: Library, verifier: Verifier | None, max_seconds: float) -> None:
        self._desk = desk
        self._library = library
        self._verifier = verifier
        self._max_seconds = max_seconds

    async def post(self, request: Request) -> Response:
        """Order a clip: 202 and where to ask for it."""
        try:
            order = await self._order(request)
            note = await self._note(order, request)
            await self._desk.order(note)
        except (StorageAway, RedisError, OSError) as error:
            raise Problem(503, "unavailable", "Clips cannot be ordered now.", retry_after_seconds=2) from error
        return JSONResponse(public(note), 202, headers={"Location": f"/api/v1/clips/{note.id}"})

    async def get(self, request: Request) -> Response:
        """How far a clip is."""
        clip_id = request.path_params["clip"]
        try:
            note = await self._desk.find(clip_id) if layout.CLIP.fullmatch(clip_id) else None
        except (StorageAway, RedisError, OSError) as error:
            raise Problem(503, "unavailable", "Clips cannot be looked up now.", retry_after_seconds=2) from error
        if note is None:
            raise Problem(404, "unknown_clip", "There is no such clip.")
        return JSONResponse(public(note), headers={"cache-control": "no-store"})

    async def _order(self, request: Request) -> Order:
        if self._verifier is None:
            raise Problem(503, "no_keys", "Tokens cannot be verified here.")
        claims = require_claims(request, self._verifier)
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BODY_BYTES:
                raise Problem(413, "too_large", "The order is too large.")
        try:
            order = Order.model_validate(json.loads(bytes(body)))
        except ValidationError as error:
            found = [
                {"field": ".".join(map(str, item["loc"])) or "body", "reason": item["msg"]} for item in error.errors()
            ]
            names = ", ".join(item["field"] for item in found)
            raise Problem(422, "invalid_request", f"The order is not valid: {names}.", errors=found) from error
        except (ValueError, RecursionError) as error:
            raise Problem(400, "not_json", "The body is not JSON.") from error
        if not claims.is_staff_of(order.stream):
            raise Problem(403, "not_staff", f"Only hosts and moderators of {order.stream} may do this.")
        return order

    async def _note(self, order: Order, request: Request) -> Note:
        head = await self._head(order)
        start, end = await self._wall(order.start_ms, head), await self._wall(order.end_ms, head)
        if end <= start:
            raise _invalid("end_ms", "must be after start_ms")
        if end - start > self._max_seconds * 1000:
            raise _invalid("end_ms", f"a clip is at most {self._max_seconds:.0f} seconds long")
        now = round(time.time() * 1000)
        if start > now or end < head.started_ms or (head.ended and start >= head.ended_ms):
            raise _invalid("start_ms", "the recording does not hold this moment")
        return Note(
            id=uuid_utils.uuid4().hex,
            stream=order.stream,
            recording=head.id,
            start_ms=start,
            end_ms=end,
            asked_start_ms=start,
            asked_end_ms=end,
            title=order.title,
            by=require_claims(request, self._verifier).sub if self._verifier else "",
            created_ms=now,
            expires_ms=now + round(head.retention_seconds * 1000) if head.retention_seconds > 0 else 0,
        )

    async def _head(self, order: Order) -> Head:
        """The recording that was named, or the stream's newest one."""
        if order.recording:
            if not layout.RECORDING.fullmatch(order.recording):
                raise _invalid("recording", "is no recording's id")
            return await self._library.head(layout.Recording(order.stream, order.recording))
        heads = await self._library.recordings(order.stream)
        if not heads:
            raise Problem(404, "unknown_recording", f"There is no recording of {order.stream}.")
        return heads[0]

    async def _wall(self, moment_ms: int, head: Head) -> int:
        if moment_ms >= WALL_CLOCK_MS:
            return moment_ms
        view = await self._library.view(head.recording)
        found = view.timeline.media_time(moment_ms / 1000)
        return layout.wall_ms(found if found is not None else view.timeline.end + moment_ms / 1000)


def public(note: Note) -> dict[str, Any]:
    """The clip as clients see it; `start_ms` and `end_ms` are where it was cut once it is ready."""
    body: dict[str, Any] = {
        "id": note.id,
        "status": note.status,
        "stream": note.stream,
        "recording": note.recording,
        "title": note.title,
        "start_ms": note.start_ms,
        "end_ms": note.end_ms,
        "asked": {"start_ms": note.asked_start_ms, "end_ms": note.asked_end_ms},
    }
    if note.status == "ready":
        body |= {"url": note.url, "duration_ms": note.duration_ms, "bytes": note.bytes}
    if note.reason:
        body["reason"] = note.reason
    return body


def _invalid(field: str, reason: str) -> Problem:
    return Problem(422, "invalid_request", f"{field} {reason}.", errors=[{"field": field, "reason": reason}])
