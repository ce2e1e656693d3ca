"""The embedded cluster by itself: its API server under load, and how fast it turns a Pod into a process."""

import asyncio
import contextlib
import tempfile
import time
import uuid
from pathlib import Path

from benchmarks.report import Figure, figure, note, percentile
from hack.devcluster.client import ApiClient
from hack.devcluster.resources import CONFIG_MAPS, NAMESPACES, PODS, SERVICE_ACCOUNTS
from tests.cluster.node.conftest import start_node
from tests.support.operators import ApiServer
from tests.support.servers import eventually, free_port

CREATES, APPLIES, EVENTS, PODS_COUNT = 2000, 1000, 200, 20
AT_A_TIME = 16
APPLY = "application/apply-patch+yaml"


def run() -> list[Figure]:
    """All figures of the embedded cluster."""
    return asyncio.run(_run())


async def _run() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="haat-bench-") as text:
        server = ApiServer(Path(text))
        began = time.monotonic()
        server.start()
        figures = [figure("API server ready", time.monotonic() - began, "s", bar=1.5)]
        try:
            async with ApiClient.from_kubeconfig(server.kubeconfig) as client:
                namespace = f"bench-{uuid.uuid4().hex[:8]}"
                await client.create(NAMESPACES, {"metadata": {"name": namespace}})
                figures += await _writes(client, namespace)
                figures.append(figure(f"API server's memory with {CREATES} objects", server.rss_mib(), "MiB", bar=120))
                figures += await _events(client, namespace)
                figures.append(await _pods(client, namespace, server.kubeconfig, Path(text)))
        finally:
            server.stop()
        return figures


async def _writes(client: ApiClient, namespace: str) -> list[Figure]:
    """Creates and server-side applies a second, sixteen at a time."""
    note(f"{CREATES} creates, {APPLIES} applies")

    async def create(number: int) -> None:
        data = {"text": f"value {number}"}
        await client.create(CONFIG_MAPS, {"metadata": {"name": f"c-{number}", "namespace": namespace}, "data": data})

    async def apply(number: int) -> None:
        name = f"c-{number}"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"applied": str(number)}}
        path = CONFIG_MAPS.path(namespace, name)
        params = {"fieldManager": "bench", "force": "true"}
        await client.request("PATCH", path, body=body, params=params, content_type=APPLY)

    creates = await _rate(create, CREATES)
    applies = await _rate(apply, APPLIES)
    return [
        figure("creates", creates, "1/s", bar=400, better="higher"),
        figure("server-side applies", applies, "1/s", bar=300, better="higher"),
    ]


async def _rate(work: object, count: int) -> float:
    """Calls a second of `work(number)` in a closed loop."""
    numbers = iter(range(count))

    async def loop() -> None:
        for number in numbers:
            await work(number)  # type: ignore[operator]

    began = time.monotonic()
    await asyncio.gather(*(loop() for _ in range(AT_A_TIME)))
    return count / (time.monotonic() - began)


async def _events(client: ApiClient, namespace: str) -> list[Figure]:
    """From a write's answer to its event at a watcher, and from the write's begin, which includes the write itself."""
    note(f"{EVENTS} watch events")
    seen: dict[str, float] = {}
    version = (await client.list(CONFIG_MAPS, namespace))["metadata"]["resourceVersion"]

    async def watch() -> None:
        async for _, body in client.watch(CONFIG_MAPS, version=version):
            seen.setdefault(body["metadata"]["name"], time.monotonic())

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.5)
    sent, answered = {}, {}
    for number in range(EVENTS):
        name = f"event-{number}"
        sent[name] = time.monotonic()
        await client.create(CONFIG_MAPS, {"metadata": {"name": name, "namespace": namespace}, "data": {}})
        answered[name] = time.monotonic()
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    after = [max(0.0, seen[name] - at) * 1000 for name, at in answered.items()]
    whole = [(seen[name] - at) * 1000 for name, at in sent.items()]
    return [
        figure("a write's event at a watcher, after the write's answer, p95", percentile(after, 0.95), "ms", bar=5),
        figure("a write's event at a watcher, the write itself included, p95", percentile(whole, 0.95), "ms", bar=5),
    ]


async def _pods(client: ApiClient, namespace: str, kubeconfig: Path, folder: Path) -> Figure:
    """From the creation of a Pod to its container's start, as the pod's own status says, in milliseconds."""
    note(f"{PODS_COUNT} pods")
    node = start_node(kubeconfig, folder, free_port())
    try:
        while True:
            with contextlib.suppress(Exception):
                await client.get(SERVICE_ACCOUNTS, namespace, "default")
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(3)
        waits = [await _started(client, namespace, folder, number) for number in range(PODS_COUNT)]
    finally:
        node.terminate()
        node.wait(30)
    return figure("Pod created to its process running, p95", percentile(waits, 0.95), "ms", bar=150)


async def _started(client: ApiClient, namespace: str, folder: Path, number: int) -> float:
    """The process itself writes down when it runs; reading a file adds at most two milliseconds."""
    mark = folder / f"pod-{number}"
    command = ["sh", "-c", f"date +%s.%N > {mark}; sleep 60"]
    spec = {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "main", "image": "busybox", "command": command}],
    }
    began = time.time()
    await client.create(PODS, {"metadata": {"name": f"pod-{number}", "namespace": namespace}, "spec": spec})
    await eventually(lambda: mark.exists() and mark.read_text().strip(), seconds=20, interval=0.002)
    waited = (float(mark.read_text()) - began) * 1000
    await client.delete(PODS, (namespace, f"pod-{number}"))
    return waited
