"""The HTTP interface beside the sockets: health, metrics, and a clear word to whoever forgets the upgrade."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workloads.common import health, problem
from workloads.common.health import Readiness


def create(readiness: Readiness) -> Starlette:
    """The ASGI application; sockets never reach it, uvicorn gives them to `RoomSocket`."""
    app = Starlette(routes=[*health.routes(readiness), Route("/ws/{ns}/{name}", _no_upgrade)])
    problem.install(app)
    return app


async def _no_upgrade(_: Request) -> Response:
    response = problem.problem_response(426, "upgrade_required", "This is a WebSocket: ask for an upgrade.")
    response.headers.update({"Upgrade": "websocket", "Connection": "Upgrade"})
    return response
