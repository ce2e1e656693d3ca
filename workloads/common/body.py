"""The JSON body of a request as a model, for services without a framework: bounded, and refused by field."""

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from workloads.common.problem import Problem

Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, model: type[Body], *, name: str, max_bytes: int) -> Body:
    """The body as `model`; Problem 400, 413, or 422 with the fields. `name` is what a person calls such a body."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise Problem(413, "too_large", "The body is too large.")
    try:
        return model.model_validate(json.loads(bytes(body)))
    except ValidationError as error:
        found = [{"field": ".".join(map(str, item["loc"])) or "body", "reason": item["msg"]} for item in error.errors()]
        names = ", ".join(item["field"] for item in found)
        raise Problem(422, "invalid_request", f"The {name} is not valid: {names}.", errors=found) from error
    except (ValueError, RecursionError) as error:
        raise Problem(400, "not_json", "The body is not JSON.") from error
