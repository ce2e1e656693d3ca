"""The pod's HTTP interface put together."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workloads.common import health, problem
from workloads.common.health import Readiness
from workloads.common.problem import Problem
from workloads.webrtc.endpoint import Endpoint
from workloads.webrtc.whep import Whep
from workloads.webrtc.whip import Whip

Handler = Callable[[Request], Awaitable[Response]]


def build(endpoint: Endpoint, whep: Whep, whip: Whip, readiness: Readiness) -> Starlette:
    """The application."""

    def guarded(kind: str, handler: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except Problem as refusal:
                return endpoint.refused(kind, refusal)

        return handle

    def sessions(kind: str) -> list[Route]:
        path = f"/{kind}/sessions/{{session}}"
        return [
            Route(path, guarded(kind, endpoint.patch), methods=["PATCH"]),
            Route(path, guarded(kind, endpoint.delete), methods=["DELETE"]),
            Route(path, endpoint.options, methods=["OPTIONS"]),
        ]

    def offers(kind: str, path: str, handler: Handler) -> list[Route]:
        return [
            Route(path, guarded(kind, handler), methods=["POST"]),
            Route(path, endpoint.options, methods=["OPTIONS"]),
        ]

    routes = [
        *health.routes(readiness),
        *sessions("whep"),
        *sessions("whip"),
        *offers("whep", "/whep/{namespace}/{name}", whep.post),
        *offers("whip", "/whip", whip.post),
        *offers("whip", "/whip/{key}", whip.post),
    ]
    app = Starlette(routes=routes)
    problem.install(app)
    return app
