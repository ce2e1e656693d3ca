"""The edge's HTTP interface put together."""

import time

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from workloads.common import health, problem
from workloads.common.health import Readiness
from workloads.edge.serve.beacons import QOE_PATH, Beacons
from workloads.edge.serve.channels import CHANNEL_PREFIX, Channels
from workloads.edge.serve.lobby import Lobby
from workloads.edge.serve.media import Media, Receive, Scope, Send
from workloads.edge.serve.push import Push
from workloads.edge.serve.recordings import PREFIXES as RECORDING_PREFIXES
from workloads.edge.serve.recordings import Recordings
from workloads.edge.serve.revoke import REVOKE_PATH, Revoke
from workloads.edge.serve.studio import STUDIO_PATH, Studio
from workloads.edge.serve.web import Web

_CONTROL_PATHS = frozenset(("/healthz", "/readyz", "/metrics", "/time"))
_CONTROL_PREFIXES = ("/streams/", "/api/v1/playback/", QOE_PATH)


class App:
    """ASGI application: routes by path, without a framework on the media's way."""

    def __init__(
        self,
        *,
        media: Media,
        web: Web,
        readiness: Readiness,
        lobby: Lobby,
        channels: Channels,
        studio: Studio,
        push: Push,
        recordings: Recordings,
        revoke: Revoke,
        beacons: Beacons,
    ) -> None:
        self._media = media
        self._web = web
        self._channels = channels
        self._recordings = recordings
        sockets = [
            WebSocketRoute("/ws/{namespace}/{name}", lobby.visit),
            WebSocketRoute("/push/{namespace}/{name}", push.visit),
        ]
        routes = [
            Route(STUDIO_PATH, studio.get, methods=["GET"]),
            Route(REVOKE_PATH, revoke.post, methods=["POST"]),
            Route(QOE_PATH, beacons.handle, methods=["POST", "OPTIONS"]),
            Route("/time", wall_clock, methods=["GET"]),
        ]
        self._control = Starlette(routes=[*health.routes(readiness), *sockets, *routes])
        problem.install(self._control)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Media, control and permanent addresses, and everything else to the web application."""
        path = scope.get("path", "")
        if scope["type"] != "http":
            await self._control(scope, receive, send)
        elif path.startswith("/hls/"):
            await self._media(scope, receive, send)
        elif path in _CONTROL_PATHS or path.startswith(_CONTROL_PREFIXES):
            await self._control(scope, receive, send)
        elif path.startswith(RECORDING_PREFIXES):
            await self._recordings(scope, receive, send)
        elif path.startswith(CHANNEL_PREFIX):
            await self._channels(scope, receive, send)
        else:
            await self._web(scope, receive, send)


async def wall_clock(_: Request) -> Response:
    """`/time`: the wall clock for DASH players (urn:mpeg:dash:utc:http-iso:2014)."""
    now = time.time()
    stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03d}Z"
    headers = {"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}
    return Response(stamp, headers=headers, media_type="text/plain")
