"""Entry point: `python -m workloads.edge`."""

from workloads.common import redis, service
from workloads.common.health import Readiness
from workloads.common.origins import Origins
from workloads.edge.app import App
from workloads.edge.cache import CoalescingCache
from workloads.edge.channels import Channels
from workloads.edge.config import EdgeSettings
from workloads.edge.lobby import Lobby
from workloads.edge.media import Media
from workloads.edge.metrics import Metrics
from workloads.edge.studio import Studio
from workloads.edge.upstream import Upstream
from workloads.edge.web import Web


def main() -> None:
    """Serve media and the web application until SIGTERM."""
    settings = EdgeSettings()

    async def serve() -> None:
        store = redis.connect(settings.redis_url, retries=1)
        upstream = Upstream(settings.origin_connect_timeout_seconds, settings.origin_timeout_seconds)
        cache = CoalescingCache(settings.edge_cache_bytes, settings.edge_max_pending)
        metrics, readiness = Metrics(), Readiness()
        metrics.watch(cache)
        origins, web = Origins(store), Web(settings.web_root, settings.web_connect_src)
        readiness.started = True
        try:
            app = App(
                media=Media(origins, upstream, cache, metrics),
                web=web,
                readiness=readiness,
                lobby=Lobby(store),
                channels=Channels(store, web),
                studio=Studio(origins, upstream),
            )
            await service.serve(app, settings, readiness, ws="websockets-sansio")
        finally:
            await upstream.close()
            await store.aclose()

    service.run(serve, settings)


if __name__ == "__main__":
    main()
