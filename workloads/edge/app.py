"""The edge's HTTP interface put together."""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from workloads.common import health
from workloads.common.health import Readiness
from workloads.edge.lobby import Lobby
from workloads.edge.media import Media, Receive, Scope, Send
from workloads.edge.web import Web

_CONTROL_PATHS = frozenset(("/healthz", "/readyz", "/metrics"))


class App:
    """ASGI application: routes by path, without a framework on the media's way."""

    def __init__(self, media: Media, web: Web, readiness: Readiness, lobby: Lobby) -> None:
        self._media = media
        self._web = web
        room = WebSocketRoute("/ws/{namespace}/{name}", lobby.visit)
        self._control = Starlette(routes=[*health.routes(readiness), room])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Media, health, and everything else to the web application."""
        if scope["type"] != "http":
            await self._control(scope, receive, send)
        elif scope["path"].startswith("/hls/"):
            await self._media(scope, receive, send)
        elif scope["path"] in _CONTROL_PATHS:
            await self._control(scope, receive, send)
        else:
            await self._web(scope, receive, send)
