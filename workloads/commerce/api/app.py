"""The application: routers, problem documents, health."""

import asyncpg
from fastapi import FastAPI
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from workloads.commerce.api import activity, orders, streams
from workloads.commerce.api.context import ApiContext
from workloads.common import health, problem


def build_app(context: ApiContext, readiness: health.Readiness) -> FastAPI:
    """The application over a ready context."""
    app = FastAPI(
        title="Haat commerce", version="0.1.0", docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json"
    )
    app.state.context = context
    problem.install(app)
    for error in (RedisError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError, TimeoutError):
        app.add_exception_handler(error, _unavailable)
    app.router.routes.extend(health.routes(readiness))
    for part in (streams, orders, activity):
        app.include_router(part.router)
    return app


async def _unavailable(_: Request, error: Exception) -> Response:
    """A store is away: the caller may come back."""
    detail = "The shop cannot answer right now; try again in a moment."
    return problem.Problem(503, "unavailable", detail, retry_after_seconds=2).response()
