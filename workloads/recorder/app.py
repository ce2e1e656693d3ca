"""The recorder's HTTP interface put together."""

from starlette.applications import Starlette
from starlette.routing import Route

from workloads.common import health, problem
from workloads.common.health import Readiness
from workloads.recorder.clips.api import Clips
from workloads.recorder.replay.app import Replay


def build(readiness: Readiness, replay: Replay, clips: Clips) -> Starlette:
    """The ASGI application."""
    app = Starlette(
        routes=[
            *health.routes(readiness),
            Route("/api/v1/clips", clips.post, methods=["POST"]),
            Route("/api/v1/clips/{clip}", clips.get, methods=["GET"]),
            Route("/vod/{path:path}", replay.get, methods=["GET"]),
            Route("/thumbs/{path:path}", replay.get, methods=["GET"]),
        ]
    )
    problem.install(app)
    return app
