"""The transcoder's HTTP interface put together."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from workloads.common import health, problem
from workloads.common.bearer import require_host
from workloads.common.health import Readiness
from workloads.common.tokens import Verifier
from workloads.transcoder.config import StreamKey
from workloads.transcoder.origin import Origin, Receive, Scope, Send
from workloads.transcoder.publish import Publisher
from workloads.transcoder.stream import Stream
from workloads.transcoder.studio import studio


class App:
    """ASGI application: media requests go to the origin without passing through a framework."""

    def __init__(self, origin: Origin, control: Starlette) -> None:
        self._origin = origin
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route by the first part of the path."""
        if scope["type"] == "http" and scope["path"].startswith("/hls/"):
            await self._origin(scope, receive, send)
        else:
            await self._control(scope, receive, send)


def build(
    stream: Stream,
    publisher: Publisher,
    origin: Origin,
    key: StreamKey,
    verifier: Verifier | None,
    readiness: Readiness,
    rtmp_url: str,
) -> App:
    """The application; without a verifier the studio answers 503."""

    async def get_studio(request: Request) -> Response:
        if verifier is None:
            raise problem.Problem(503, "no_keys", "HAAT_AUTH_JWKS is not set: nobody can sign in.")
        require_host(request, verifier, stream.spec.stream)
        return JSONResponse(studio(stream, key, rtmp_url), headers={"Cache-Control": "no-store"})

    async def ingest(request: Request) -> Response:
        return await publisher.handle(request)

    control = Starlette(
        routes=[
            *health.routes(readiness),
            Route("/ingest", ingest, methods=["POST"]),
            Mount("/streams", routes=[Route(f"/{stream.spec.stream}/studio", get_studio)]),
        ]
    )
    problem.install(control)
    return App(origin, control)
