"""Entry point: `python -m workloads.ingest`."""

from starlette.applications import Starlette

from workloads.common import health, redis, service
from workloads.ingest.config import IngestSettings
from workloads.ingest.metrics import Metrics
from workloads.ingest.routes import Routes
from workloads.ingest.server import RtmpServer


def main() -> None:
    """Serve RTMP on `HAAT_RTMP_PORT` and health on `HAAT_LISTEN_PORT` until SIGTERM."""
    settings = IngestSettings()

    async def serve() -> None:
        store = redis.connect(settings.redis_url, retries=1)
        server = RtmpServer(settings, Routes(store), Metrics())
        await server.start()
        readiness = health.Readiness()
        readiness.started = True
        try:
            await service.serve(Starlette(routes=health.routes(readiness)), settings, readiness, on_drain=server.close)
        finally:
            await store.aclose()

    service.run(serve, settings)


if __name__ == "__main__":
    main()
