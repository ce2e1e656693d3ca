"""Entry point: `python -m workloads.edge`."""

from workloads.common import redis, service
from workloads.edge.config import EdgeSettings
from workloads.edge.plane import calm_garbage, plane


def main() -> None:
    """Serve media and the web application until SIGTERM."""
    settings = EdgeSettings()
    calm_garbage()

    async def serve() -> None:
        store = redis.connect(settings.redis_url, retries=1)
        try:
            async with plane(settings, store) as edge:
                edge.readiness.started = True
                await service.serve(edge.app, settings, edge.readiness, **edge.options)
        finally:
            await store.aclose()

    service.run(serve, settings)


if __name__ == "__main__":
    main()
