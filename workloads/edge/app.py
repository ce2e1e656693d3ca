"""The edge's HTTP interface put together."""

from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from workloads.common import health, problem
from workloads.common.health import Readiness
from workloads.edge.channels import CHANNEL_PREFIX, Channels
from workloads.edge.lobby import Lobby
from workloads.edge.media import Media, Receive, Scope, Send
from workloads.edge.studio import STUDIO_PATH, Studio
from workloads.edge.web import Web

_CONTROL_PATHS = frozenset(("/healthz", "/readyz", "/metrics"))


class App:
    """ASGI application: routes by path, without a framework on the media's way."""

    def __init__(
        self, *, media: Media, web: Web, readiness: Readiness, lobby: Lobby, channels: Channels, studio: Studio
    ) -> None:
        self._media = media
        self._web = web
        self._channels = channels
        self._control = _control(readiness, lobby, studio)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Media, control and permanent addresses, and everything else to the web application."""
        path = scope.get("path", "")
        if scope["type"] != "http":
            await self._control(scope, receive, send)
        elif path.startswith("/hls/"):
            await self._media(scope, receive, send)
        elif path in _CONTROL_PATHS or path.startswith("/streams/"):
            await self._control(scope, receive, send)
        elif path.startswith(CHANNEL_PREFIX):
            await self._channels(scope, receive, send)
        else:
            await self._web(scope, receive, send)


def _control(readiness: Readiness, lobby: Lobby, host: Studio) -> Starlette:
    room = WebSocketRoute("/ws/{namespace}/{name}", lobby.visit)
    control = Starlette(routes=[*health.routes(readiness), room, Route(STUDIO_PATH, host.get, methods=["GET"])])
    problem.install(control)
    return control
