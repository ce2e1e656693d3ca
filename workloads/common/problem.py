"""Errors of the HTTP interfaces as RFC 9457 problem details, in one place.

Handlers raise `Problem`; `install` turns it, and FastAPI's own validation errors, into `application/problem+json`. Most
services do without FastAPI, and it is not imported for them: it costs a pod a dozen MiB and a quarter of its start.
"""

import sys
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """A refusal that the caller may read: `code` is stable, `detail` is a sentence, `errors` name fields."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[dict[str, str]] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.retry_after_seconds = retry_after_seconds

    def response(self) -> JSONResponse:
        """The problem document as a response."""
        body: dict[str, Any] = {
            "type": f"urn:haat:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.errors:
            body["errors"] = self.errors
        headers = {} if self.retry_after_seconds is None else {"Retry-After": f"{max(1, self.retry_after_seconds):.0f}"}
        return JSONResponse(body, self.status, headers=headers, media_type=MEDIA_TYPE)


def problem_response(status: int, code: str, detail: str, errors: Sequence[dict[str, str]] = ()) -> JSONResponse:
    """Shorthand for `Problem(...).response()`."""
    return Problem(status, code, detail, errors=errors).response()


def install(app: Starlette) -> None:
    """Make `app` answer every refusal as a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    if "fastapi" in sys.modules:
        from fastapi.exceptions import RequestValidationError

        app.add_exception_handler(RequestValidationError, _on_invalid)


async def _on_problem(_: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):
        raise error
    return error.response()


async def _on_http_exception(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = HTTPStatus(error.status_code).name.lower()
    response = problem_response(error.status_code, code, str(error.detail))
    response.headers.update(error.headers or {})
    return response


async def _on_invalid(_: Request, error: Exception) -> Response:
    from fastapi.exceptions import RequestValidationError

    if not isinstance(error, RequestValidationError):
        raise error
    errors = [
        {"field": ".".join(str(part) for part in item["loc"]) or "body", "reason": str(item["msg"])}
        for item in error.errors()
    ]
    fields = ", ".join(item["field"] for item in errors)
    return problem_response(422, "invalid_request", f"The request is not valid: {fields}.", errors)
