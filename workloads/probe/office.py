"""Which streams are live, who watches them, and what is told of it each second."""

import asyncio
import contextlib
import json
import logging
import time

import aiohttp
from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.common import heartbeat, origins
from workloads.common.loops import going_on
from workloads.probe.config import ProbeSettings
from workloads.probe.metrics import Metrics
from workloads.probe.rota import Rota
from workloads.probe.watcher import Watcher

LOOK_SECONDS = 1.0
PHASES = ("Live", "Interrupted")

logger = logging.getLogger(__name__)


class Office:
    """`run` until cancelled. While Redis is away the same streams are watched on."""

    def __init__(self, settings: ProbeSettings, redis: Redis, client: aiohttp.ClientSession, metrics: Metrics) -> None:
        self._settings = settings
        self._redis = redis
        self._client = client
        self._metrics = metrics
        self._rota = Rota(settings.max_watched, settings.watch_seconds)
        self._watching: dict[str, tuple[Watcher, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Look, watch, tell."""
        try:
            while going_on():
                try:
                    await self._look()
                    await self._tell()
                except (RedisError, OSError, TimeoutError) as error:
                    logger.warning("redis does not answer: %s", error)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for stream in list(self._watching):
                await self._stop(stream)

    async def _look(self) -> None:
        entries = await self._redis.hgetall(origins.KEY)
        self._rota.update((str(stream) for stream, raw in entries.items() if is_live(str(raw))), time.monotonic())
        for stream in self._watching.keys() - self._rota.watched:
            await self._stop(stream)
        for stream in self._rota.watched - self._watching.keys():
            watcher = Watcher(self._client, self._settings.edge_url, stream)
            self._watching[stream] = (watcher, asyncio.create_task(watcher.run()))

    async def _tell(self) -> None:
        told: list[str] = []
        for stream, (watcher, _) in self._watching.items():
            report = watcher.report()
            if report:
                self._metrics.set(stream, report)
                body = json.dumps(report | {"ts_ms": int(time.time() * 1000)})
                told += [f"probe/{stream}/{self._settings.pod_name}", body]
        if told:
            await self._redis.hset(heartbeat.KEY, items=told)

    async def _stop(self, stream: str) -> None:
        _, task = self._watching.pop(stream)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        self._metrics.forget(stream)


def is_live(raw: str) -> bool:
    """Whether an entry of `haat:streams` is a stream that viewers watch now."""
    try:
        return json.loads(raw).get("phase") in PHASES
    except (ValueError, AttributeError):
        return False
