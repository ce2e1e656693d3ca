"""Keeps a puller for each stream that is to be pulled and that no other pod has."""

import asyncio
import contextlib
import ipaddress
import logging

import imageio_ffmpeg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.common.loops import going_on
from workloads.common.publication import pulls
from workloads.common.publication.routes import Routes
from workloads.common.sealed import Seal
from workloads.ingest.config import IngestSettings
from workloads.ingest.metrics import Metrics
from workloads.ingest.pull.puller import Order, Puller, Rules

LOOK_SECONDS = 2.0

logger = logging.getLogger(__name__)


class PullServer:
    """Pulls until `close`. While Redis is away it goes on with what it has."""

    def __init__(self, settings: IngestSettings, redis: Redis, routes: Routes, seal: Seal, metrics: Metrics) -> None:
        self._settings = settings
        self._redis = redis
        self._routes = routes
        self._seal = seal
        self._metrics = metrics
        self._running: dict[str, tuple[Order, asyncio.Task[None]]] = {}
        self._looking: asyncio.Task[None] | None = None
        networks = [ipaddress.ip_network(item, strict=False) for item in settings.pull_networks.split(",") if item]
        self._rules = Rules(
            settings.ffmpeg or imageio_ffmpeg.get_ffmpeg_exe(), networks, settings.pull_root, settings.max_publish_kbps
        )

    async def start(self) -> None:
        """Begin to look for orders."""
        self._looking = asyncio.create_task(self._look_forever())

    async def close(self) -> None:
        """End all pulls; other pods take them over at once."""
        if self._looking:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
        for stream in list(self._running):
            await self._stop(stream)

    async def _look_forever(self) -> None:
        while going_on():
            try:
                await self._look()
            except (RedisError, OSError, TimeoutError) as error:
                logger.warning("redis does not say what is to be pulled: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        found = await pulls.wanted(self._redis, self._seal)
        orders = {stream: Order(stream, uri, key) for stream, (uri, key) in found.items()}
        for stream, (order, _) in list(self._running.items()):
            if orders.get(stream) != order or not await pulls.claim(self._redis, stream, self._settings.pod_name):
                await self._stop(stream)
        for stream, order in orders.items():
            if stream in self._running or len(self._running) >= self._settings.max_pulls:
                continue
            if await pulls.claim(self._redis, stream, self._settings.pod_name):
                puller = Puller(order, self._routes, self._rules, self._failed)
                self._running[stream] = (order, asyncio.create_task(puller.run()))
        self._metrics.pulls.set(len(self._running))

    async def _stop(self, stream: str) -> None:
        _, task = self._running.pop(stream)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            await pulls.release(self._redis, stream, self._settings.pod_name)

    def _failed(self, label: str) -> None:
        self._metrics.refused.labels(label).inc()
