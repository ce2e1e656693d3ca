"""Run one ASGI application as a container: uvicorn on the pod's address, graceful stop on SIGTERM.

Readiness goes off first and the server keeps serving for `lame_duck_seconds`, so that the endpoints of the Service have
forgotten this pod before its listener closes.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from workloads.common import logs
from workloads.common.health import Readiness
from workloads.common.settings import Settings

logger = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the container decides when the listener closes."""

    def install_signal_handlers(self) -> None:
        return

    def capture_signals(self) -> Any:
        import contextlib

        return contextlib.nullcontext()


async def serve(
    app: Any,
    settings: Settings,
    readiness: Readiness,
    *,
    on_drain: Callable[[], Awaitable[None]] | None = None,
    lame_duck_seconds: float = 0.2,
    ws: Any = "none",
    **options: Any,
) -> None:
    """Serve until SIGTERM or SIGINT; `on_drain` runs after readiness went off and before the listener closes."""
    config = uvicorn.Config(
        app,
        host=settings.pod_ip,
        port=settings.listen_port,
        log_config=None,
        access_log=False,
        ws=ws,
        timeout_graceful_shutdown=5,
        **options,
    )
    server = _Server(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        readiness.draining = True
        logger.info("stopping")
        await asyncio.sleep(lame_duck_seconds)
        if on_drain:
            await on_drain()
        server.should_exit = True
    stopping.cancel()
    await serving


def run(main: Callable[[], Awaitable[None]], settings: Settings) -> None:
    """Configure logging and run `main` on uvloop."""
    logs.configure(settings.log_level)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_as_coroutine(main))


async def _as_coroutine(main: Callable[[], Awaitable[None]]) -> None:
    await main()
