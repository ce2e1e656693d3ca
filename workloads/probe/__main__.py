"""Entry point: `python -m workloads.probe`."""

import asyncio
import contextlib

import aiohttp
from starlette.applications import Starlette

from workloads.common import health, redis, service
from workloads.probe.config import ProbeSettings
from workloads.probe.metrics import Metrics
from workloads.probe.office import Office


def main() -> None:
    """Watch live streams at `HAAT_EDGE_URL` and tell their latency, until SIGTERM."""
    settings = ProbeSettings()

    async def serve() -> None:
        store = redis.connect(settings.redis_url, retries=1)
        readiness = health.Readiness()
        readiness.started = True
        async with aiohttp.ClientSession() as client:
            working = asyncio.create_task(Office(settings, store, client, Metrics()).run())
            try:
                await service.serve(Starlette(routes=health.routes(readiness)), settings, readiness)
            finally:
                working.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await working
                await store.aclose()

    service.run(serve, settings)


if __name__ == "__main__":
    main()
