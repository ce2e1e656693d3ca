"""An edge put together from its settings: what `__main__` runs, and what tests and benchmarks run, too."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry
from redis.asyncio import Redis

from workloads.common.access.gate import Gate
from workloads.common.access.revocations import Revocations
from workloads.common.health import Readiness
from workloads.common.origins import Origins
from workloads.common.tokens import Verifier
from workloads.edge.config import EdgeSettings
from workloads.edge.deliver.cache import CoalescingCache
from workloads.edge.deliver.upstream import Upstream
from workloads.edge.measure.metrics import Metrics
from workloads.edge.serve.app import App
from workloads.edge.serve.channels import Channels
from workloads.edge.serve.door import Door
from workloads.edge.serve.hub import Hub
from workloads.edge.serve.lean import LeanProtocol
from workloads.edge.serve.lobby import Lobby
from workloads.edge.serve.media import Media
from workloads.edge.serve.push import Push
from workloads.edge.serve.recordings import Recordings
from workloads.edge.serve.revoke import Revoke
from workloads.edge.serve.studio import Studio
from workloads.edge.serve.web import Web


@dataclass(frozen=True, slots=True)
class Plane:
    """The parts that others look at."""

    app: App
    media: Media
    door: Door
    cache: CoalescingCache
    lobby: Lobby
    readiness: Readiness
    hub: Hub

    @property
    def options(self) -> dict[str, Any]:
        """What uvicorn has to be told."""
        return {
            "http": functools.partial(LeanProtocol, self.hub),
            "ws": "websockets-sansio",
            "proxy_headers": False,
            "server_header": False,
            "date_header": False,
            "timeout_keep_alive": 30,
        }


@contextlib.asynccontextmanager
async def plane(settings: EdgeSettings, store: Redis, registry: CollectorRegistry = REGISTRY) -> AsyncIterator[Plane]:
    """A running edge without its listener; leaving ends its background work."""
    upstream = Upstream(settings.origin_connect_timeout_seconds, settings.origin_timeout_seconds)
    cache = CoalescingCache(settings.edge_cache_bytes, settings.edge_max_pending)
    metrics, readiness = Metrics(registry), Readiness()
    metrics.watch(cache)
    origins, web, lobby = Origins(store), Web(settings.web_root, settings.web_connect_src), Lobby(store)
    verifier = Verifier(settings.auth_jwks) if settings.auth_jwks else None
    revocations = Revocations(store)
    door = Door(Gate(store, revocations, verifier=verifier), settings.proxies)
    media = Media(origins, upstream, cache, metrics, door)
    app = App(
        media=media,
        web=web,
        readiness=readiness,
        lobby=lobby,
        channels=Channels(store, web),
        studio=Studio(origins, upstream),
        push=Push(origins, door),
        recordings=Recordings(settings.recorder_url, upstream, door),
        revoke=Revoke(revocations, verifier),
    )
    hub = Hub(media, door, metrics)
    tasks = [asyncio.create_task(job) for job in (revocations.run(), hub.run())]
    try:
        yield Plane(app, media, door, cache, lobby, readiness, hub)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await upstream.close()
