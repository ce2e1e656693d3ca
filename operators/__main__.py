"""`python -m operators`: the operators under their Lease, with probes and metrics beside them."""

import asyncio
import logging
import signal
import sys

import kopf
import uvloop
from prometheus_client import REGISTRY

from operators.pool.allocator import Allocator
from operators.runtime import http
from operators.runtime.cache import Cache
from operators.runtime.capabilities import Discovery
from operators.runtime.client import KubeClient
from operators.runtime.context import Context
from operators.runtime.informer import follow_children
from operators.runtime.leader import LeadershipLost, lead
from operators.runtime.namesakes import Namesakes
from operators.runtime.platform import PlatformFile
from operators.runtime.publisher import Publisher
from operators.runtime.reconciler import Reconciler
from operators.runtime.secrets import Secrets
from operators.runtime.settings import OperatorSettings
from operators.runtime.signals import Signals
from operators.runtime.standing import Standing
from operators.runtime.watch import build_registry, build_settings
from workloads.common import logs
from workloads.common.redis import connect
from workloads.common.sealed import Seal

logger = logging.getLogger(__name__)


class WatchesEnded(Exception):
    """Without watches the operators are blind: the process ends and is started again."""


async def main(settings: OperatorSettings) -> None:
    """Run until SIGTERM, SIGINT or the loss of the Lease."""
    stop, health = asyncio.Event(), http.Health()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with await KubeClient.connect() as client, asyncio.TaskGroup() as group:
        group.create_task(http.serve(health, host=settings.pod_ip, port=settings.listen_port, stop=stop))
        health.synced = True

        async def work() -> None:
            await operate(settings, client, stop)

        if settings.leader_election:
            await lead(client, namespace=settings.pod_namespace, identity=settings.pod_name, work=work, stop=stop)
        else:
            await work()
        stop.set()


async def operate(settings: OperatorSettings, client: KubeClient, stop: asyncio.Event) -> None:
    """Watch and reconcile until `stop` is set."""
    platform = PlatformFile(settings.platform_file, redis_url=settings.redis_url)
    redis = connect(settings.redis_url)
    cache, secrets = Cache(), Secrets(client)
    context = Context(
        client=client,
        cache=cache,
        signals=Signals(),
        publisher=Publisher(redis, Seal(settings.seal_key) if settings.seal_key else None),
        discovery=Discovery(client),
        secrets=secrets,
        namesakes=Namesakes(client, cache, secrets),
        allocator=Allocator(redis),
        platform=platform.current,
    )
    reconciler = Reconciler(
        context,
        redis,
        workers=settings.workers,
        platform=platform,
        namespace=settings.pod_namespace,
        sweep_seconds=settings.sweep_seconds,
        resync_seconds=settings.resync_seconds,
    )
    REGISTRY.register(Standing(cache))
    registry = build_registry(cache, reconciler.wake)
    working = asyncio.create_task(reconciler.run())
    watching = asyncio.create_task(
        kopf.operator(
            registry=registry,
            settings=build_settings(),
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
            standalone=True,
            stop_flag=stop,
        )
    )
    following = asyncio.create_task(follow_children(client, cache, reconciler.wake, namespaces=settings.namespaces))
    tasks = (working, watching, following)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error
        if not stop.is_set():
            raise WatchesEnded("kopf has ended although nobody asked it to")
    finally:
        stop.set()
        working.cancel()
        following.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await redis.aclose()


if __name__ == "__main__":
    configured = OperatorSettings()
    logs.configure(configured.log_level)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main(configured))
    except* (LeadershipLost, WatchesEnded) as group:
        for ended in group.exceptions:
            logger.error("ending: %s", ended)
        sys.exit(1)
