"""What viewers look at: events for analytics and for the models."""

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from redis.exceptions import RedisError

from workloads.commerce.api.context import JSON, ApiContext, context_of
from workloads.common import events
from workloads.common.bearer import require_claims

router = APIRouter(prefix="/api/v1")
Context = Annotated[ApiContext, Depends(context_of)]
logger = logging.getLogger(__name__)


class Activity(BaseModel):
    """A viewer looked at a product."""

    type: str = Field(pattern=r"^product\.view$")
    stream: str = Field(pattern=r"^[a-z0-9-]{1,63}/[a-z0-9.-]{1,253}$")
    sku: str = Field(min_length=1, max_length=64)


@router.post("/events", status_code=202)
async def note(body: Activity, request: Request, context: Context) -> JSON:
    """Taken; a lost event costs a recommendation, never a request."""
    claims = require_claims(request, context.verifier)
    event = events.new_event(body.type, stream=body.stream, user=claims.sub, data={"sku": body.sku})
    try:
        await events.emit(context.redis, event)
    except (RedisError, OSError) as error:
        logger.warning("an event is lost: %s", error)
    return {"id": event["id"]}
