"""The transcoder's HTTP interface put together: which stream a request is about, and what it wants of it."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workloads.common import health, problem
from workloads.common.bearer import bearer_token, require_host
from workloads.common.health import Readiness
from workloads.common.tokens import Verifier
from workloads.transcoder.hosted import Hosted, Streams
from workloads.transcoder.serve.licences import get_key, license
from workloads.transcoder.serve.origin import Receive, Scope, Send
from workloads.transcoder.serve.push import CLOSE_TRY_AGAIN
from workloads.transcoder.serve.studio import studio
from workloads.transcoder.serve.timed import post_caption, post_cue

_MEDIA_PREFIXES = ("/hls/", "/frames/")


class App:
    """ASGI application: media requests go to the stream's origin without passing through a framework."""

    def __init__(self, streams: Streams, control: Starlette) -> None:
        self._streams = streams
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route by the path: `/hls/<ns>/<name>/…`, `/frames/<ns>/<name>/…`, `/push/<ns>/<name>`, or everything else."""
        if scope["type"] == "websocket" and scope["path"].startswith("/push/"):
            await self._push(scope, receive, send)
            return
        if scope["type"] != "http" or not scope["path"].startswith(_MEDIA_PREFIXES):
            await self._control(scope, receive, send)
            return
        hosted = self._streams.find(stream_of(scope["path"]))
        if hosted is None:
            response = problem.problem_response(404, "unknown_stream", "This pod does not serve this stream.")
            response.headers["cache-control"] = "no-store"
            await response(scope, receive, send)
        elif scope["path"].startswith("/hls/"):
            await hosted.origin(scope, receive, send)
        else:
            await hosted.frames(scope, receive, send)

    async def _push(self, scope: Scope, receive: Receive, send: Send) -> None:
        hosted = self._streams.find(stream_of(scope["path"]))
        if hosted is None or hosted.stream.retired:
            await receive()
            await send({"type": "websocket.close", "code": CLOSE_TRY_AGAIN})
            return
        await hosted.push(scope, receive, send)


def stream_of(path: str) -> str:
    """The stream id in `/hls/<ns>/<name>/…` or `/frames/<ns>/<name>…`; of a shorter path, something that is no id."""
    return "/".join(path.split("/", 4)[2:4])


def build(streams: Streams, verifier: Verifier | None, readiness: Readiness, rtmp_url: str) -> App:
    """The application; without a verifier the studio answers 503."""

    def of_host(request: Request) -> Hosted:
        """The stream that a request is about, when its sender is a host of it."""
        if verifier is None:
            raise problem.Problem(503, "no_keys", "HAAT_AUTH_JWKS is not set: nobody can sign in.")
        stream = f"{request.path_params['namespace']}/{request.path_params['name']}"
        hosted = streams.find(stream)
        if hosted is None:
            raise problem.Problem(404, "unknown_stream", f"This pod does not serve {stream}.")
        require_host(request, verifier, stream)
        if hosted.stream.retired:
            raise problem.Problem(503, "moved", "The stream is being moved, try again.", retry_after_seconds=1)
        return hosted

    async def timed(request: Request) -> Response:
        stream = of_host(request).stream
        if request.url.path.endswith("/cues"):
            return await post_cue(request, stream)
        return await post_caption(request, stream)

    async def keys(request: Request) -> Response:
        hosted = streams.find(f"{request.path_params['namespace']}/{request.path_params['name']}")
        if hosted is None:
            raise problem.Problem(404, "unknown_stream", "This pod does not serve this stream.")
        if request.method == "POST":
            return await license(request, hosted.stream)
        return await get_key(request, hosted.stream)

    async def get_studio(request: Request) -> Response:
        hosted = of_host(request)
        return JSONResponse(
            studio(hosted.stream, hosted.own_key(), rtmp_url),
            headers={"Cache-Control": "no-store"},
        )

    async def ingest(request: Request) -> Response:
        hosted = await streams.by_key(bearer_token(request.headers.get("authorization", "")))
        return await hosted.publisher.handle(request)

    control = Starlette(
        routes=[
            *health.routes(readiness),
            Route("/ingest", ingest, methods=["POST"]),
            Route("/streams/{namespace}/{name}/studio", get_studio),
            Route("/streams/{namespace}/{name}/cues", timed, methods=["POST"]),
            Route("/streams/{namespace}/{name}/captions", timed, methods=["POST"]),
            Route("/keys/{namespace}/{name}/license", keys, methods=["POST"]),
            Route("/keys/{namespace}/{name}/{period:int}", keys, methods=["GET"]),
        ]
    )
    problem.install(control)
    return App(streams, control)
