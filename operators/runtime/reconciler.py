"""The loop that joins watches, signals and planners: who wakes whom, and the periodic second look."""

import asyncio
import logging
import random

from redis.asyncio import Redis
from redis.exceptions import RedisError

from operators.api import Channel, LiveStream
from operators.api.livestream_status import StreamPhase
from operators.channel import handlers as channel
from operators.core.rejection import ApplyRejected
from operators.flashsale import handlers as flashsale
from operators.flashsale.serving import AGAIN_SECONDS, hold_services
from operators.livestream import handlers as livestream
from operators.models import handlers as models
from operators.pool import handlers as pool
from operators.pool.observe import workers_by_pool
from operators.runtime import signals
from operators.runtime.cache import InvalidResource
from operators.runtime.context import Context
from operators.runtime.executor import refuse
from operators.runtime.informer import POOL_KIND
from operators.runtime.metrics import QUEUE_DEPTH, QUEUE_WAIT_SECONDS, RECONCILE_SECONDS, RECONCILES, SWEEPS
from operators.runtime.platform import PlatformFile, tell
from operators.runtime.queue import WorkQueue

Key = tuple[str, str, str]
MODELS, CAPACITY = "Models", "Capacity"
OVER = (StreamPhase.ENDED, StreamPhase.FAILED, StreamPhase.DRAINING)
REPAIR_EVERY = 2
PLATFORM_SECONDS = 2.0
REFUSED_SECONDS = 60.0
"""What was refused is tried again this often: its cause lies outside, and only people change it."""

logger = logging.getLogger(__name__)


class Reconciler:
    """Owns the work queue and the sweep."""

    def __init__(
        self,
        context: Context,
        redis: Redis,
        *,
        platform: PlatformFile,
        namespace: str,
        workers: int,
        sweep_seconds: float,
        resync_seconds: float,
    ):
        self._context = context
        self._platform = platform
        self._namespace = namespace
        self._redis = redis
        self._sweep_seconds = sweep_seconds
        self._resync_seconds = resync_seconds
        self._workers: dict[str, tuple[object, ...]] = {}
        self._channels: dict[tuple[str, str], object] = {}
        self._stream_channels: dict[tuple[str, str], str] = {}
        self._sale_streams: dict[tuple[str, str], str] = {}
        self._queue: WorkQueue[Key] = WorkQueue(self._reconcile, workers=workers, on_done=self._note)

    async def run(self) -> None:
        """Work, sweep and resync until cancelled."""
        await self._queue.add((CAPACITY, "", ""))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._queue.run())
            group.create_task(self._sweep_forever())
            group.create_task(self._resync_forever())
            group.create_task(self._platform_forever())

    async def wake(self, key: Key) -> None:
        """Something about `key` changed: reconcile it and those that look at it."""
        kind, namespace, name = key
        if kind == POOL_KIND:
            await self._queue.add((POOL_KIND, "", name))
            return
        await self._queue.add(key)
        cache = self._context.cache
        if not cache.indexed:
            return
        if kind == "Channel":
            await self._wake_streams_of(namespace, name)
        elif kind == "LiveStream":
            await self._wake_around_stream(namespace, name)
        elif kind == "FlashSale":
            await self._wake_target(namespace, name)

    async def _wake_streams_of(self, namespace: str, name: str) -> None:
        """What a channel's streams look at: its spec and its keys. Its status changes with each of them and is none."""
        channel = next(iter(self._context.cache.readable(Channel, namespace, name)), None)
        ingest = channel.status.ingest if channel else None
        seen = (channel.metadata.generation, channel.deleting, ingest) if channel else None
        key = (namespace, name)
        if key in self._channels and self._channels[key] == seen:
            return
        self._channels[key] = seen
        await self._queue.add((MODELS, namespace, ""))
        for stream in self._context.cache.stream_names(namespace, name):
            await self._queue.add(("LiveStream", namespace, stream))

    async def _wake_around_stream(self, namespace: str, name: str) -> None:
        """A stream concerns its channel and its sales; one that is over makes room for the others of its channel."""
        cache = self._context.cache
        stream = next(iter(cache.readable(LiveStream, namespace, name)), None)
        key = (namespace, name)
        channel_name = stream.spec.channel.name if stream else self._stream_channels.pop(key, None)
        if stream:
            self._stream_channels[key] = stream.spec.channel.name
        if channel_name is None:
            return
        await self._queue.add(("Channel", namespace, channel_name))
        if stream is None or stream.deleting or stream.status.phase in OVER:
            await self._queue.add((MODELS, namespace, ""))
            for other in cache.stream_names(namespace, channel_name):
                await self._queue.add(("LiveStream", namespace, other))
        elif stream.spec.models:
            await self._queue.add((MODELS, namespace, ""))
        for sale in cache.sales(namespace):
            if (sale.spec.stream and sale.spec.stream.name == name) or sale.spec.channel:
                await self._queue.add(("FlashSale", namespace, sale.metadata.name))

    async def _wake_target(self, namespace: str, name: str) -> None:
        """A sale concerns its stream and the one that it has left, and what the shared services hold ready."""
        sale = self._context.cache.sale(namespace, name)
        stream = flashsale.target(self._context, sale) if sale else None
        key = (namespace, name)
        concerned = {self._sale_streams.pop(key, "")}
        if stream:
            self._sale_streams[key] = stream.metadata.name
            concerned.add(stream.metadata.name)
        for found in concerned - {""}:
            await self._queue.add(("LiveStream", namespace, found))
        await self._queue.add((CAPACITY, "", ""))

    async def _reconcile(self, key: Key) -> float | None:
        if not self._context.cache.bound:
            return 0.2
        try:
            return await self._reconcile_kind(key)
        except InvalidResource as error:
            await refuse(self._context, error)
            return REFUSED_SECONDS
        except ApplyRejected as error:
            logger.warning("a child is refused: %s", error, extra={"object": "/".join(key)})
            return REFUSED_SECONDS

    async def _reconcile_kind(self, key: Key) -> float | None:
        kind, namespace, name = key
        if kind == "LiveStream":
            return await livestream.reconcile(self._context, namespace, name)
        if kind == "Channel":
            return await channel.reconcile(self._context, namespace, name)
        if kind == POOL_KIND:
            return await pool.reconcile(self._context, name)
        if kind == "FlashSale":
            return await flashsale.reconcile(self._context, namespace, name)
        if kind == CAPACITY:
            await hold_services(self._context)
            return AGAIN_SECONDS
        return await models.reconcile(self._context, namespace)

    def _note(self, key: Key, result: str, seconds: float, waited: float) -> None:
        RECONCILES.labels(key[0], result).inc()
        RECONCILE_SECONDS.labels(key[0]).observe(seconds)
        QUEUE_WAIT_SECONDS.observe(waited)
        QUEUE_DEPTH.set(len(self._queue))

    async def _sweep_forever(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(self._sweep_seconds)
            rounds += 1
            try:
                await self._sweep()
                if rounds % REPAIR_EVERY == 0:
                    await self._context.publisher.repair()
                SWEEPS.labels("ok").inc()
            except (RedisError, OSError, TimeoutError) as error:
                SWEEPS.labels("error").inc()
                logger.warning("redis does not answer the sweep: %s", error)

    async def _sweep(self) -> None:
        context = self._context
        if not context.cache.bound:
            return
        reports = await signals.read(self._redis, context.signals)
        await self._sweep_pools()
        for stream_id in context.signals.changed_streams(context.cache.stream_ids(), context.clock()):
            namespace, _, name = stream_id.partition("/")
            await self._queue.add(("LiveStream", namespace, name))
        for channel_id in context.signals.changed_channels(context.cache.channels(), context.clock()):
            namespace, _, name = channel_id.partition("/")
            await self._queue.add(("Channel", namespace, name))
        changed = set(context.signals.changed_sales(reports))
        for sale in context.cache.sales() if changed else ():
            if sale.metadata.uid in changed:
                await self._queue.add(("FlashSale", sale.metadata.namespace, sale.metadata.name))

    async def _sweep_pools(self) -> None:
        """A worker that came, went or drains concerns its pool, the streams on it, and those that wait for one."""
        context = self._context
        await context.allocator.load()
        workers = workers_by_pool(context.signals.heartbeats, context.clock())
        seen: dict[str, tuple[object, ...]] = {
            name: tuple(sorted((item.pod, item.draining, item.streams) for item in found))
            for name, found in workers.items()
        }
        changed = {name for name in seen.keys() | self._workers.keys() if seen.get(name) != self._workers.get(name)}
        self._workers = seen
        for name in changed | {wish.pool for wish in context.allocator.pending.values()}:
            await self._queue.add((POOL_KIND, "", name))
        waiting = set(context.allocator.pending)
        moved = {stream for stream, item in context.allocator.table.items() if item.pool in changed}
        for stream in moved | (waiting if changed else set()):
            namespace, _, name = stream.partition("/")
            await self._queue.add(("LiveStream", namespace, name))

    async def _resync_forever(self) -> None:
        while True:
            await asyncio.sleep(self._resync_seconds * random.uniform(0.8, 1.2))
            await self._wake_all()

    async def _platform_forever(self) -> None:
        """Another platform file concerns everybody."""
        while True:
            if await asyncio.to_thread(self._platform.refresh):
                await tell(self._context.client, self._namespace, self._platform, self._context.clock())
                await self._wake_all()
            await asyncio.sleep(PLATFORM_SECONDS)

    async def _wake_all(self) -> None:
        for key in self._context.cache.resource_keys():
            await self._queue.add((key[0], key[1], key[2]))
        await self._queue.add((CAPACITY, "", ""))
        await self._wake_pools()

    async def _wake_pools(self) -> None:
        """Pools of the platform file, and those that it does not name any more but that still have pods."""
        known = {
            label.removeprefix("pool.") for _, label in self._context.cache.owner_labels() if label.startswith("pool.")
        }
        for name in known | set(self._context.platform().pools):
            await self._queue.add((POOL_KIND, "", name))
