"""What every served model has in common: load, warm up, tune in place, say how it is, measure.

A model is a plain class, so tests call it without Ray; `deployment` wraps it for Ray Serve, which asks for its ASGI
application once per replica. Traps avoided: a dependency that is away makes the health page say so and never restarts
a replica (only a dead background task does), and a body is refused by its declared length before it is read.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Histogram, generate_latest
from pydantic import BaseModel, ConfigDict, Field, model_validator
from ray import serve
from starlette.responses import JSONResponse

from workloads.common import logs, problem

ASGI = Any
LOG_OUTPUT = "HAAT_LOG_OUTPUT"
"""Variable with the path to which a replica appends its log lines, beside the file that Ray keeps."""
MAX_BODY_BYTES = 16_384
STOP_SECONDS = 2.0

REQUESTS = Counter("haat_ml_requests_total", "Answers by application and status", ["app", "status"])
SECONDS = Histogram(
    "haat_ml_request_seconds",
    "Time to an answer inside the replica",
    ["app"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1),
)

logger = logging.getLogger(__name__)


class BuildArgs(BaseModel):
    """`args` of an application in the serving configuration; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_replicas: int = Field(1, ge=1, le=64)
    max_replicas: int = Field(1, ge=1, le=64)
    num_cpus: float = Field(0.2, ge=0, le=64)
    target_ongoing_requests: float = Field(16, gt=0, le=1000)
    user_config: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _ordered(self) -> "BuildArgs":
        if self.max_replicas < self.min_replicas:
            raise ValueError("max_replicas is below min_replicas")
        return self


class ModelApp:
    """Base of a served model; subclasses fill in the hooks."""

    name = "model"

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._loaded = False

    async def load(self) -> None:
        """Open what answers need. A dependency that is still away is no error here."""

    async def warm_up(self) -> None:
        """Run the answer's path once, so that the first caller does not pay for it."""

    async def close(self) -> None:
        """Give back what `load` opened."""

    async def reason(self) -> str | None:
        """Why answers are not to be had now, or None."""
        return None

    def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Take over thresholds without a restart; ValueError keeps the ones in force."""

    def routes(self, app: FastAPI) -> None:
        """Add the model's own paths."""

    def background(self, task: asyncio.Task[None]) -> None:
        """Keep a task for the model's life; its death makes the replica unhealthy."""
        self._tasks.append(task)

    def check_health(self) -> None:
        """Called by Ray Serve; raises RuntimeError when the replica must be replaced."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                raise RuntimeError(f"{task.get_name()} has ended: {task.exception()!r}")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Loaded and warm inside the block; all tasks ended after it."""
        await self.load()
        await self.warm_up()
        self._loaded = True
        try:
            yield
        finally:
            self._loaded = False
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
            await self.close()

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The application of one replica: the model's paths, /healthz and /metrics, all below the route prefix."""
        append_logs(os.environ.get(LOG_OUTPUT, ""))

        @contextlib.asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            async with self.running():
                yield

        app = FastAPI(title=self.name, lifespan=lifespan, openapi_url=None)
        problem.install(app)
        self.routes(app)

        @app.get("/healthz")
        async def healthz() -> Response:
            reason = await self.reason() if self._loaded else "starting"
            return JSONResponse({"status": reason or "ok", "app": self.name}, 503 if reason else 200)

        @app.get("/metrics")
        async def metrics() -> Response:
            return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

        app.add_middleware(_Guarded, name=self.name)
        return app


class _Guarded:
    """Count answers, refuse bodies that are too long, and let the bare route prefix reach the path `/`."""

    def __init__(self, app: ASGI, *, name: str) -> None:
        self._app = app
        self._name = name

    async def __call__(self, scope: dict[str, Any], receive: ASGI, send: ASGI) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == scope.get("root_path"):
            # Starlette would redirect, and a caller's POST does not follow redirects.
            scope = scope | {"path": scope["path"] + "/"}
        status, started = 500, time.perf_counter()

        async def noted(message: dict[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        app = self._app
        if (refusal := too_long(Request(scope))) is not None:
            app = refusal.response()
        try:
            await app(scope, receive, noted)
        finally:
            REQUESTS.labels(self._name, str(status)).inc()
            SECONDS.labels(self._name).observe(time.perf_counter() - started)


def too_long(request: Request) -> problem.Problem | None:
    """The refusal of a body whose length is beyond the limit or, for a method with a body, not declared."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit():
        if int(declared[:12]) <= MAX_BODY_BYTES:
            return None
        return problem.Problem(413, "body_too_long", f"A body may have {MAX_BODY_BYTES} bytes.")
    if request.method in ("GET", "HEAD") and not declared:
        return None
    return problem.Problem(411, "length_required", "The length of the body is not declared.")


def deployment(model: type[ModelApp], args: BuildArgs) -> Any:
    """The Ray Serve deployment of a model; bind it with the constructor's arguments."""
    scale: dict[str, Any] = {"num_replicas": args.min_replicas}
    if args.max_replicas > args.min_replicas:
        scale = {
            "autoscaling_config": {
                "min_replicas": args.min_replicas,
                "max_replicas": args.max_replicas,
                "target_ongoing_requests": args.target_ongoing_requests,
                "upscale_delay_s": 5,
                "downscale_delay_s": 60,
            }
        }
    return serve.deployment(
        serve.ingress()(model),
        name=model.__name__,
        ray_actor_options={"num_cpus": args.num_cpus},
        user_config=args.user_config,
        max_ongoing_requests=64,
        max_queued_requests=256,
        health_check_period_s=5,
        health_check_timeout_s=10,
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=STOP_SECONDS + 1,
        logging_config={"enable_access_log": False, "encoding": "JSON"},
        **scale,
    )


def append_logs(path: str) -> None:
    """Send this package's log lines to `path` too; a path that cannot be opened leaves them with Ray alone."""
    if not path:
        return
    log = logging.getLogger("ml_serving")
    if any(isinstance(each.formatter, logs.JsonFormatter) for each in log.handlers):
        return
    try:
        handler = logging.FileHandler(path)
    except OSError as error:
        logger.info("log lines stay with Ray: %s", error)
        return
    handler.setFormatter(logs.JsonFormatter())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
