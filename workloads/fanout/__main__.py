"""Entry point: `python -m workloads.fanout`."""

import asyncio
import functools
import sys
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from workloads.common import redis, service
from workloads.common.health import Readiness
from workloads.common.heartbeat import Heartbeat
from workloads.common.mounted import ConfigError
from workloads.common.purchase import Purchases
from workloads.common.tokens import TokenError, Verifier
from workloads.fanout import app
from workloads.fanout.actions import Buying, Publishing
from workloads.fanout.broker import Broker, MemoryBroker
from workloads.fanout.config import FanoutSettings, StreamFile
from workloads.fanout.desk import Desk
from workloads.fanout.hub import Hub
from workloads.fanout.metrics import Metrics
from workloads.fanout.presence import Alone, Directory, Presence, RedisDirectory
from workloads.fanout.protocol import RoomSocket
from workloads.fanout.redis_broker import RedisBroker, connect_feed
from workloads.fanout.welcome import Door

RULES_SECONDS = 1.0
Work = Coroutine[Any, Any, None]


@dataclass(frozen=True, slots=True)
class Parts:
    """What differs between brokers; `work` runs beside the server until it ends."""

    hub: Hub
    broker: Broker
    directory: Directory
    buying: Buying
    work: list[Work] = field(default_factory=list)


def main() -> None:
    """Hold the room of `HAAT_STREAM_FILE` until SIGTERM; exit status 2 when a setting is wrong."""
    settings = FanoutSettings()
    try:
        if settings.stream_file is None:
            raise ConfigError("HAAT_STREAM_FILE is not set")
        stream, verifier = StreamFile(settings.stream_file), Verifier(settings.auth_jwks)
    except (ConfigError, TokenError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)

    async def serve() -> None:
        if settings.broker == "memory":
            hub = Hub(settings, Metrics())
            parts = Parts(hub, MemoryBroker(), Alone(), Buying(hub, None))
            await run(settings, stream, verifier, parts)
        else:
            await _serve_with_redis(settings, stream, verifier)

    service.run(serve, settings)


async def _serve_with_redis(settings: FanoutSettings, stream: StreamFile, verifier: Verifier) -> None:
    store, feed = redis.connect(settings.redis_url, retries=1), connect_feed(settings.redis_url)
    replies = redis.connect_listener(settings.redis_url)
    metrics = Metrics()
    hub = Hub(settings, metrics)
    purchases = Purchases(store, settings.pod_name, on_late=lambda result: buying.on_late(result))
    buying = Buying(hub, purchases)

    def beat() -> dict[str, Any]:
        return {"connections": hub.connections, "viewers": hub.viewers, "draining": hub.draining}

    heartbeat = Heartbeat(store, f"fanout/{stream.spec.stream}/{settings.pod_name}", beat)
    broker, directory = RedisBroker(store, feed, metrics), RedisDirectory(store, settings.pod_name)
    try:
        work: list[Work] = [heartbeat.run(), purchases.listen(replies)]
        await run(settings, stream, verifier, Parts(hub, broker, directory, buying, work))
    finally:
        for client in (store, feed, replies):
            await client.aclose()


async def run(settings: FanoutSettings, stream: StreamFile, verifier: Verifier, parts: Parts) -> None:
    """Serve one room until SIGTERM."""
    hub, broker = parts.hub, parts.broker
    room = hub.open_room(stream.spec.stream)
    publishing = Publishing(broker)
    publishing.chat = stream.spec.chat
    desk = Desk(hub, broker, Door(hub, broker, verifier), publishing, parts.buying)

    async def check() -> str | None:
        return None if broker.is_ready(room) else "the room's history is not read yet"

    async def follow_rules() -> None:
        while True:
            await asyncio.sleep(RULES_SECONDS)
            if stream.refresh():
                publishing.chat = stream.spec.chat

    readiness = Readiness(check)
    readiness.started = True
    presence = Presence(hub, broker, parts.directory)
    work = [*parts.work, broker.follow(room), hub.look_after(), presence.run(), follow_rules()]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(item) for item in work]
        socket = functools.partial(RoomSocket, desk)
        await service.serve(app.create(readiness), settings, readiness, ws=socket, on_drain=hub.drain)
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    main()
