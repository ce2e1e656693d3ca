"""`POST /streams/<ns>/<name>/cues` and `…/captions`: what is to be shown in sync with the picture.

A host's token is needed, or one of the platform's own services (role `system`).
"""

import json
import uuid
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from workloads.common.problem import Problem
from workloads.transcoder.package.emsg import MAX_PAYLOAD_BYTES
from workloads.transcoder.stream import Stream

MAX_BODY_BYTES = 64 * 1024

Model = TypeVar("Model", bound=BaseModel)


class CueRequest(BaseModel):
    """The body of a cue; with an id of the caller's own, sending it twice announces it once."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field("", max_length=64, pattern=r"^[A-Za-z0-9._:-]*$")
    kind: str = Field(pattern=r"^[a-z][a-z0-9.-]{0,31}$")
    duration_seconds: float = Field(0.0, ge=0, le=3600)
    data: dict[str, Any] = Field(default_factory=dict)

    @field_validator("data")
    @classmethod
    def _is_small(cls, data: dict[str, Any]) -> dict[str, Any]:
        if len(json.dumps(data)) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"at most {MAX_PAYLOAD_BYTES} bytes travel with the picture")
        return data


class CaptionRequest(BaseModel):
    """One caption; what it writes down was said `delay_seconds` ago."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=500)
    language: str = Field("en", pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    delay_seconds: float = Field(0.0, ge=0, le=30)
    duration_seconds: float = Field(3.0, gt=0, le=20)

    @field_validator("text")
    @classmethod
    def _is_no_markup(cls, text: str) -> str:
        # A blank line would end the cue in WebVTT, and an arrow would begin another one.
        lines = [line.strip() for line in text.replace("-->", "→").splitlines()]
        return "\n".join(line for line in lines if line)


async def post_cue(request: Request, stream: Stream) -> Response:
    """`202 {"id", "media_time"}`; Problem 400 for a wrong body, 409 while nobody publishes."""
    wanted = await _read(request, CueRequest)
    _require_live(stream)
    cue = stream.announce(
        id=wanted.id or str(uuid.uuid4()), kind=wanted.kind, duration=wanted.duration_seconds, data=wanted.data
    )
    return JSONResponse({"id": cue.id, "media_time": cue.at}, status_code=202)


async def post_caption(request: Request, stream: Stream) -> Response:
    """`202 {"media_time"}`; Problem 400 for a wrong body, 409 while nobody publishes."""
    wanted = await _read(request, CaptionRequest)
    _require_live(stream)
    begin = stream.caption(wanted.text, wanted.language, delay=wanted.delay_seconds, duration=wanted.duration_seconds)
    return JSONResponse({"media_time": begin}, status_code=202)


def _require_live(stream: Stream) -> None:
    if not stream.receiving or not stream.renditions:
        raise Problem(409, "not_live", "Nobody publishes to this stream now.")


async def _read(request: Request, model: type[Model]) -> Model:
    """The body as the model; Problem 400 with the fields that are wrong, 413 when it is too long."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise Problem(413, "too_large", f"The body may have {MAX_BODY_BYTES} bytes.")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        errors = [
            {"field": ".".join(str(step) for step in found["loc"]) or "body", "reason": found["msg"]}
            for found in error.errors()
        ]
        raise Problem(400, "invalid", "The body is not what it should be.", errors=errors) from error
