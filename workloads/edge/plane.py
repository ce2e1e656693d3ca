"""An edge put together from its settings: what `__main__` runs, and what tests and benchmarks run, too."""

import asyncio
import contextlib
import functools
import gc
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry
from redis.asyncio import Redis

from workloads.common.access.countries import CountryFiles
from workloads.common.access.gate import Gate
from workloads.common.access.revocations import Revocations
from workloads.common.health import Readiness
from workloads.common.origins import Origins
from workloads.common.tokens import Verifier
from workloads.edge.config import EdgeSettings
from workloads.edge.deliver.cache import CoalescingCache
from workloads.edge.deliver.upstream import Upstream
from workloads.edge.limit.overload import Overload
from workloads.edge.limit.sessions import Sessions
from workloads.edge.measure.meter import Meter
from workloads.edge.measure.metrics import Metrics
from workloads.edge.measure.quality import Quality
from workloads.edge.serve.app import App
from workloads.edge.serve.beacons import Beacons
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

_GARBAGE_THRESHOLD = 50_000


def calm_garbage() -> None:
    """What was imported stays for ever: looking through it again and again would cost viewers their time."""
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD)


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
    meter: Meter
    quality: Quality

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
    meter, readiness = Meter(store), Readiness()
    metrics = Metrics(meter, registry)
    metrics.watch(cache)
    origins, web, lobby = Origins(store), Web(settings.web_root, settings.web_connect_src), Lobby(store)
    verifier = Verifier(settings.auth_jwks) if settings.auth_jwks else None
    revocations = Revocations(store)
    countries = CountryFiles()
    gate = Gate(store, revocations, verifier=verifier, countries=countries)
    sessions = Sessions(store, settings.pod_name, settings.session_limits)
    # Connections are the hub's, which is made below.
    overload = Overload(settings.overload_limits, lambda: len(hub.connections), lambda: cache.pending)
    metrics.watch_overload(overload)
    door = Door(gate, settings.proxies, sessions, overload)
    quality = Quality(store, settings.pod_name, registry)
    media = Media(origins, upstream, cache, metrics, door, quality)
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
        beacons=Beacons(origins, quality),
    )
    hub = Hub(media, door, metrics)
    await asyncio.to_thread(countries.load, settings.country_files)
    jobs = (revocations.run(), hub.run(), sessions.run(), overload.run(), meter.run(), quality.run())
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield Plane(app, media, door, cache, lobby, readiness, hub, meter, quality)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await meter.flush()
        await upstream.close()
