"""The operators without nodes: how fast a resource becomes children, what a thousand of them cost, who takes over.

API server, Redis and operators are processes of their own on this machine; nothing is mocked but the kubelet, which is
absent: pods are never started, so the figures are those of watching, planning and applying.
"""

import asyncio
import contextlib
import signal
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.report import Figure, figure, note, percentile
from hack.devcluster.client import ApiClient
from hack.devcluster.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    INGRESSES,
    POD_DISRUPTION_BUDGETS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Resource,
)
from operators.core.children import OWNER_LABEL
from tests.support.operators import ApiServer, Operator, Tenant, channel, running, stream, tenant
from tests.support.servers import eventually, redis_server

STEADY, STEADY_RATE = 100, 5.0
BURST, IDLE = 300, 2000
POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
WATCHED = (SERVICE_ACCOUNTS, CONFIG_MAPS, SECRETS, SERVICES, DEPLOYMENTS, POD_DISRUPTION_BUDGETS, INGRESSES, POLICIES)
CHILDREN = 11


def run() -> list[Figure]:
    """All figures of the operators."""
    return asyncio.run(_run())


async def _run() -> list[Figure]:
    """Each part on an API server of its own, so that none pays for another's objects."""
    figures = []
    for part in (_applies, _idle, _fail_over):
        with tempfile.TemporaryDirectory(prefix="haat-bench-") as text, redis_server(_made(text, "redis")) as redis:
            server = ApiServer(_made(text, "api"))
            server.start()
            try:
                async with tenant(server.kubeconfig, f"bench{part.__name__.replace('_', '-')}") as shop:
                    figures += await part(shop, server, redis.url, _made(text, "operators"))
            finally:
                server.stop()
    return figures


def _made(folder: str, name: str) -> Path:
    path = Path(folder) / name
    path.mkdir(exist_ok=True)
    return path


class Arrivals:
    """When each owner's children appeared, as a client of the API server sees it."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)

    async def watch(self, kubeconfig: Path) -> None:
        """Watch all kinds of children until cancelled."""
        async with ApiClient.from_kubeconfig(kubeconfig) as client, asyncio.TaskGroup() as group:
            for resource in WATCHED:
                group.create_task(self._watch(client, resource))

    async def _watch(self, client: ApiClient, resource: Resource) -> None:
        version = (await client.list(resource))["metadata"]["resourceVersion"]
        async for kind, body in client.watch(resource, version=version):
            owner = (body["metadata"].get("labels") or {}).get(OWNER_LABEL)
            if kind == "ADDED" and owner:
                self.times[owner].append(time.monotonic())

    async def complete(self, owners: list[str], *, seconds: float) -> None:
        """Wait until every owner has all its children."""
        deadline = time.monotonic() + seconds
        while any(len(self.times[owner]) < CHILDREN for owner in owners):
            if time.monotonic() > deadline:
                short = [owner for owner in owners if len(self.times[owner]) < CHILDREN]
                raise AssertionError(f"{len(short)} streams are not complete: {short[:3]}")
            await asyncio.sleep(0.02)


async def _applies(shop: Tenant, server: ApiServer, redis_url: str, folder: Path) -> list[Figure]:
    """Children at a steady rate, a burst, and what a second look costs."""
    operator = Operator(folder, server.kubeconfig, redis_url, name="one", HAAT_LEADER_ELECTION="false")
    arrivals = Arrivals()
    watching = asyncio.create_task(arrivals.watch(server.kubeconfig))
    with running(operator):
        for number in range(5):
            await shop.create(channel(f"ch{number}"))
        await _settled(operator)
        note(f"{STEADY} streams, {STEADY_RATE:g} a second")
        steady = await _create(shop, [f"steady-{number}" for number in range(STEADY)], pause=1 / STEADY_RATE)
        await arrivals.complete([_label(name) for name in steady], seconds=60)
        waits = [(max(arrivals.times[_label(name)][:CHILDREN]) - at) * 1000 for name, at in steady.items()]
        note(f"a burst of {BURST} streams")
        began = time.monotonic()
        burst = await _create(shop, [f"burst-{number}" for number in range(BURST)], pause=0.0)
        await arrivals.complete([_label(name) for name in burst], seconds=180)
        done = [max(arrivals.times[_label(name)][:CHILDREN]) - began for name in burst]
        note("a second look at all of them")
        writes = await _second_look(shop, server, redis_url, folder)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError, BaseExceptionGroup):
        await watching
    return [
        figure(f"LiveStream applied to its {CHILDREN} children, p50 at 5/s", percentile(waits, 0.5), "ms", bar=250),
        figure(f"LiveStream applied to its {CHILDREN} children, p95 at 5/s", percentile(waits, 0.95), "ms", bar=250),
        figure(f"burst of {BURST} LiveStreams, all children of all", max(done), "s", bar=20),
        figure(f"burst of {BURST} LiveStreams, p50", percentile(done, 0.5), "s", bar=10),
        figure(f"writes of a second look at {STEADY + BURST} settled streams", writes, "writes", bar=0),
    ]


async def _create(shop: Tenant, names: list[str], *, pause: float) -> dict[str, float]:
    """Create streams over the channels; name -> when its create call began."""
    began = {}
    pending = []
    for number, name in enumerate(names):
        began[name] = time.monotonic()
        body = stream(name, channel={"name": f"ch{number % 5}"})
        pending.append(asyncio.create_task(shop.create(body)))
        if pause:
            await asyncio.sleep(pause)
        elif len(pending) >= 20:
            await asyncio.gather(*pending)
            pending.clear()
    await asyncio.gather(*pending)
    return began


async def _second_look(shop: Tenant, server: ApiServer, redis_url: str, folder: Path) -> float:
    """Writes of a fresh replica that reconciles everything again and again, after its first round."""
    del shop
    second = Operator(
        folder, server.kubeconfig, redis_url, name="two", HAAT_LEADER_ELECTION="false", HAAT_RESYNC_SECONDS="5"
    )
    with running(second):
        await _settled(second)
        before = await second.metric("haat_apply_total")
        rounds = await second.metric("haat_reconcile_total")

        async def seen_all() -> bool:
            return await second.metric("haat_reconcile_total") >= rounds + STEADY + BURST

        await eventually(seen_all, seconds=120, interval=0.5)
        return await second.metric("haat_apply_total") - before


async def _settled(operator: Operator) -> None:
    """Wait until it reconciles and has nothing left to write."""
    last, since = -1.0, time.monotonic()
    while time.monotonic() - since < 4 or last <= 0:
        writes = await operator.metric("haat_apply_total") + await operator.metric("haat_reconcile_total") / 1e6
        if writes != last:
            quiet = int(writes) == int(last)
            last, since = writes, since if quiet and last > 0 else time.monotonic()
        await asyncio.sleep(0.25)


async def _idle(shop: Tenant, server: ApiServer, redis_url: str, folder: Path) -> list[Figure]:
    """Memory with many resources that wait for their time."""
    note(f"{IDLE} scheduled streams")
    await shop.create(channel("idle"))
    later = {"schedule": {"startAt": "2037-01-01T00:00:00Z"}, "channel": {"name": "idle"}}
    for first in range(0, IDLE, 50):
        await asyncio.gather(*(shop.create(stream(f"idle-{number}", **later)) for number in range(first, first + 50)))
    operator = Operator(folder, server.kubeconfig, redis_url, name="idle", HAAT_LEADER_ELECTION="false")
    with running(operator):
        await _settled(operator)
        return [figure(f"operators' memory with {IDLE} idle LiveStreams", operator.rss_mib(), "MiB", bar=160)]


async def _fail_over(shop: Tenant, server: ApiServer, redis_url: str, folder: Path) -> list[Figure]:
    """From SIGKILL of the leader until the other replica has made what was asked for meanwhile."""
    note("the leader is killed")
    await shop.create(channel("fail-over"))
    first, second = (Operator(folder, server.kubeconfig, redis_url, name=name) for name in ("first", "second"))
    with running(first, second):

        async def led() -> bool:
            return await first.leads() or await second.leads()

        await eventually(led, seconds=60)
        leading = first if await first.leads() else second
        await asyncio.sleep(5)
        began = time.monotonic()
        leading.stop(signal.SIGKILL)
        await shop.create(stream("meanwhile", channel={"name": "fail-over"}))
        await eventually(lambda: shop.get("apps/v1", "Deployment", "meanwhile-fanout"), seconds=60)
        return [figure("fail-over after SIGKILL, to the first child made", time.monotonic() - began, "s", bar=20)]


def _label(name: str) -> str:
    return f"livestream.{name}"
