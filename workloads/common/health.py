"""`/healthz`, `/readyz` and `/metrics`, the same in every container.

Health says that the process is alive; readiness that it may get traffic, which is off while it starts and drains.
"""

from collections.abc import Awaitable, Callable

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Check = Callable[[], Awaitable[str | None]]


class Readiness:
    """Whether traffic is welcome; `check` returns None or the reason why not."""

    def __init__(self, check: Check | None = None) -> None:
        self.started = False
        self.draining = False
        self._check = check

    async def reason(self) -> str | None:
        """Why the container is not ready, or None."""
        if not self.started:
            return "starting"
        if self.draining:
            return "draining"
        return await self._check() if self._check else None


def routes(readiness: Readiness) -> list[Route]:
    """The three routes for a Starlette or FastAPI application."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        reason = await readiness.reason()
        return JSONResponse({"status": "ok" if reason is None else reason}, 200 if reason is None else 503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
