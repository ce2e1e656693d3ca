"""Entry point: `python -m workloads.ingest`."""

import asyncio

from starlette.applications import Starlette

from workloads.common import health, redis, service
from workloads.common.publication.names import StreamKeys
from workloads.common.publication.routes import Routes
from workloads.common.sealed import Seal
from workloads.ingest.config import IngestSettings
from workloads.ingest.metrics import Metrics
from workloads.ingest.pull.server import PullServer
from workloads.ingest.server import RtmpServer
from workloads.ingest.srt.server import SrtServer


def main() -> None:
    """Serve RTMP, and as the settings say RTMPS and SRT, with health on `HAAT_LISTEN_PORT`, until SIGTERM."""
    settings = IngestSettings()

    async def serve() -> None:
        store = redis.connect(settings.redis_url, retries=1)
        routes, metrics = Routes(store), Metrics()
        servers: list[RtmpServer | SrtServer | PullServer] = [RtmpServer(settings, routes, metrics)]
        if settings.seal_key:
            seal = Seal(settings.seal_key)
            servers.append(PullServer(settings, store, routes, seal, metrics))
            if settings.srt_port:
                servers.append(SrtServer(settings, routes, StreamKeys(store, seal), metrics))
        for server in servers:
            await server.start()
        readiness = health.Readiness()
        readiness.started = True

        async def drain() -> None:
            await asyncio.gather(*(server.close() for server in servers))

        try:
            await service.serve(Starlette(routes=health.routes(readiness)), settings, readiness, on_drain=drain)
        finally:
            await store.aclose()

    service.run(serve, settings)


if __name__ == "__main__":
    main()
