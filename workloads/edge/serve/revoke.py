"""`POST /api/v1/playback/revoke`: a host takes playback tokens back, one by its `jti` or all of an account by `sub`."""

import logging

from pydantic import BaseModel, ConfigDict, Field, model_validator
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from workloads.common.access.revocations import Revocations
from workloads.common.bearer import require_host
from workloads.common.body import read_body
from workloads.common.problem import Problem
from workloads.common.tokens import Verifier

REVOKE_PATH = "/api/v1/playback/revoke"
MAX_BODY_BYTES = 8 * 1024

logger = logging.getLogger(__name__)


class Order(BaseModel):
    """The body. `stream` may be `*` for a host of all streams."""

    model_config = ConfigDict(extra="forbid")

    stream: str = Field(min_length=1, max_length=506, pattern=r"^[-a-z0-9./*]+$")
    jti: str = Field("", max_length=128)
    sub: str = Field("", max_length=256)

    @model_validator(mode="after")
    def _names_one(self) -> "Order":
        if bool(self.jti) == bool(self.sub):
            raise ValueError("name either jti or sub")
        return self


class Revoke:
    """The endpoint."""

    def __init__(self, revocations: Revocations, verifier: Verifier | None) -> None:
        self._revocations = revocations
        self._verifier = verifier

    async def post(self, request: Request) -> Response:
        """204; Problem 400, 401, 403, 413, 422 or 503."""
        if self._verifier is None:
            raise Problem(503, "no_keys", "HAAT_AUTH_JWKS is not set: nobody can sign in.")
        order = await read_body(request, Order, name="order", max_bytes=MAX_BODY_BYTES)
        claims = require_host(request, self._verifier, order.stream)
        kind, value = ("jti", order.jti) if order.jti else ("sub", order.sub)
        try:
            await self._revocations.revoke(order.stream, kind=kind, value=value)
        except (RedisError, OSError) as error:
            detail = "The token cannot be taken back now, try again."
            raise Problem(503, "unavailable", detail, retry_after_seconds=1) from error
        logger.info("playback tokens were taken back", extra={"stream": order.stream, "kind": kind, "by": claims.sub})
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
