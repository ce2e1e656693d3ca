"""`haat up`: from an installed checkout to a running shop, in the foreground, and back to nothing.

Everything that this starts is a child of it; every way out (Ctrl-C, SIGTERM, a crash of a part) goes through one stop.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from hack.cli import cluster, keys, ports, samples, web
from hack.cli.console import Console
from hack.cli.endpoints import Endpoints, build
from hack.cli.errors import UserError
from hack.cli.paths import CHARTS, CLUSTER_STATE, ENDPOINTS, KUBECONFIG, ROOT, STATE
from hack.cli.processes import Server
from hack.devcluster.client import ApiClient

MINIMUM_FREE_GIB = 1.0
LIVE_WITHIN_SECONDS = 120.0
UPGRADE_REQUIRED = 426
SERVICES = (
    "operators",
    "identity",
    "ingest",
    "edge",
    "webrtc",
    "recorder",
    "probe",
    "commerce",
    "committer",
    "redis",
    "postgres",
)


async def up(console: Console, values: Sequence[Path] = ()) -> None:
    """Run the platform on the embedded cluster until a signal."""
    check_disk(STATE.parent)
    with only_one(STATE / "up.lock"):
        ENDPOINTS.unlink(missing_ok=True)
        chosen = ports.choose(STATE / "ports.json")
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        servers: list[Server] = []
        try:
            await until(stop, start(console, chosen, servers, values), servers)
            if not stop.is_set():
                await until(stop, asyncio.Event().wait(), servers)
        finally:
            console.step("stopping")
            ENDPOINTS.unlink(missing_ok=True)
            for server in reversed(servers):
                await server.stop()
            console.step("stopped, no process is left")


async def until(stop: asyncio.Event, work: Any, servers: list[Server]) -> None:
    """Run `work` until it ends, a signal comes, or a server dies; the last is an error."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.create_task(stop.wait())
    dying = asyncio.create_task(_first_death(servers))
    await asyncio.wait({working, stopping, dying}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if working.done():
            working.result()
        elif dying.done() and not stop.is_set():
            raise dying.result().failure()
    finally:
        for task in (working, stopping, dying):
            task.cancel()
        await asyncio.gather(working, stopping, dying, return_exceptions=True)


async def _first_death(servers: list[Server]) -> Server:
    while True:
        for server in servers:
            if not server.running:
                return server
        await asyncio.sleep(0.2)


async def start(console: Console, chosen: ports.Ports, servers: list[Server], values: Sequence[Path]) -> None:
    """The way up, step by step."""
    building = asyncio.create_task(asyncio.to_thread(web.build, console))
    await start_cluster(console, chosen, servers)
    async with ApiClient.from_kubeconfig(KUBECONFIG) as client:
        await install_charts(console, chosen, client, values)
        await building
        console.step("applying hack/samples")
        await cluster.wait_served(client, cluster.collection_url("LiveStream", None))
        await samples.apply(client)
        await wait_live(console, client, chosen)
        endpoints = await build(client, chosen)
    write_endpoints(endpoints)
    announce(console, endpoints)


async def start_cluster(console: Console, chosen: ports.Ports, servers: list[Server]) -> None:
    """API server, then node."""
    console.step(f"starting the embedded cluster (API on 127.0.0.1:{chosen.api})")
    CLUSTER_STATE.mkdir(parents=True, exist_ok=True)
    KUBECONFIG.unlink(missing_ok=True)
    arguments = ["--state-dir", str(CLUSTER_STATE / "api"), "--port", str(chosen.api)]
    arguments += ["--kubeconfig-out", str(KUBECONFIG), "--service-cidr", service_cidr(STATE)]
    servers.append(await Server.start("API server", "hack.devcluster.apiserver", arguments))
    while not KUBECONFIG.exists():
        if not servers[0].running:
            raise servers[0].failure()
        await asyncio.sleep(0.05)
    arguments = ["--kubeconfig", str(KUBECONFIG), "--state-dir", str(CLUSTER_STATE / "node"), "--checkout", str(ROOT)]
    arguments += ["--ingress-port", str(chosen.http)]
    servers.append(await Server.start("node", "hack.devcluster.node", arguments))


def service_cidr(state: Path) -> str:
    """Addresses for Services: a range of 127.0.0.0/8 of this state's own, so that two platforms do not meet."""
    number = int.from_bytes(hashlib.sha256(str(state).encode()).digest()[:2], "big")
    return f"127.{96 + number % 32}.{(number // 32) % 256 & 0xF0}.0/20"


async def install_charts(console: Console, chosen: ports.Ports, client: ApiClient, given: Sequence[Path]) -> None:
    """Helm install or upgrade, skipped when nothing changed since the last time; `given` files go over our values."""
    values = chart_values(chosen)
    digest = charts_digest([values, *(file.read_text() for file in given)])
    mark = await cluster.read(client, "ConfigMap", "haat-system", "haat-cli-installed")
    if mark and (mark.get("data") or {}).get("digest") == digest:
        console.step("charts are installed already")
        return
    console.step("installing charts haat-crds and haat with Helm")
    values_file = STATE / "values.json"
    values_file.touch(mode=0o600)
    values_file.write_text(json.dumps(values))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hack.cli.helm",
        str(KUBECONFIG),
        str(values_file),
        *map(str, given),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    if process.returncode:
        raise UserError(f"the charts could not be installed: {errors.decode(errors='replace').strip()[-800:]}")
    metadata = {"name": "haat-cli-installed", "namespace": "haat-system"}
    await cluster.apply(
        client, [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"digest": digest}}]
    )


def chart_values(chosen: ports.Ports) -> dict[str, Any]:
    """Values of the chart for this machine: small requests, so that one core and 3 GiB hold everything."""
    rtmp = f"rtmp://127.0.0.1:{chosen.rtmp}/live"
    worker = {"cpu": "50m", "memory": "96Mi", "memoryLimit": "2Gi"}
    small = {"resources": {"requests": {"cpu": "20m", "memory": "64Mi"}}}
    return {
        **dict.fromkeys(SERVICES, small),
        # A source on this machine is what a newcomer tries first.
        "ingest": small | {"extraEnv": [{"name": "HAAT_PULL_NETWORKS", "value": "127.0.0.0/8"}]},
        # Nobody is paged here, and its memory is better used.
        "audit": {"enabled": False},
        "sizes": {name: {"cpu": "50m", "memory": "96Mi"} for name in ("transcoder", "fanout", "models")},
        # One worker is warm; the second one of a real shop would only wait here.
        "pools": {"default": {"buffer": {"size": 0, "min": 1, "max": 10}, "template": {"resources": worker}}},
        "publicUrl": f"http://127.0.0.1:{chosen.http}",
        "rtmp": {"publicUrl": rtmp, "internalUrl": rtmp, "service": {"type": "LoadBalancer", "nodePort": chosen.rtmp}},
        "srt": {
            "publicUrl": f"srt://127.0.0.1:{chosen.srt}",
            "service": {"type": "LoadBalancer", "nodePort": chosen.srt},
        },
        "auth": keys.auth_values(STATE / "auth.json"),
    }


def charts_digest(values: list[Any]) -> str:
    """Hash over the charts and their values."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for file in sorted(CHARTS.rglob("*")):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


async def wait_live(console: Console, client: ApiClient, chosen: ports.Ports) -> None:
    """Show the stream's phases until it is live: a status of an earlier run proves nothing, a playlist does."""
    deadline, shown = time.monotonic() + LIVE_WITHIN_SECONDS, ""
    while True:
        stream = await cluster.read(client, "LiveStream", samples.NAMESPACE, samples.STREAM) or {}
        status = stream.get("status") or {}
        phase, reason = status.get("phase") or "Pending", status.get("reason") or ""
        line = f"LiveStream {samples.NAMESPACE}/{samples.STREAM}: {phase}{f' ({reason})' if reason else ''}"
        if line != shown:
            console.step(line)
            shown = line
        if phase == "Live" and await answers(client, chosen):
            return
        if time.monotonic() > deadline:
            raise UserError(
                f"the sample stream is {phase} after {LIVE_WITHIN_SECONDS:.0f} s; look at "
                f"`kubectl --kubeconfig {KUBECONFIG} get pods -A` and at {CLUSTER_STATE / 'node'}."
            )
        await asyncio.sleep(0.1)


async def answers(client: ApiClient, chosen: ports.Ports) -> bool:
    """Whether the sample's playlist, its shop and its room answer through the public port."""
    base, stream = f"http://127.0.0.1:{chosen.http}", f"{samples.NAMESPACE}/{samples.STREAM}"
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with client.session.get(f"{base}/hls/{stream}/master.m3u8", timeout=timeout) as playlist:
            playable = playlist.status == 200 and "#EXTM3U" in await playlist.text()
        async with client.session.get(f"{base}/api/v1/streams/{stream}", timeout=timeout) as shop:
            open_for_business = shop.status == 200
        async with client.session.get(f"{base}/ws/{stream}", timeout=timeout) as room:
            return playable and open_for_business and room.status == UPGRADE_REQUIRED
    except (aiohttp.ClientError, TimeoutError):
        return False


def write_endpoints(endpoints: Endpoints) -> None:
    """`.haat/endpoints.json`, whole or not at all; it holds a stream key, so only its owner may read it."""
    temporary = ENDPOINTS.with_suffix(".tmp")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(endpoints, indent=1) + "\n")
    temporary.replace(ENDPOINTS)


def announce(console: Console, endpoints: Endpoints) -> None:
    """The box with the addresses."""
    console.table(
        "The shop is live. Ctrl-C stops everything.",
        [
            ("viewer", endpoints["viewer"]),
            ("studio", endpoints["studio"]),
            ("publish (RTMP)", f"{endpoints['rtmp']}/{endpoints['stream_key']}"),
            ("kubectl", f"export KUBECONFIG={endpoints['kubeconfig']}"),
            ("metrics", endpoints["metrics"]),
        ],
    )


def check_disk(folder: Path) -> None:
    """A database on a full disk loses sales; say so before it starts."""
    free = shutil.disk_usage(folder).free / 2**30
    if free < MINIMUM_FREE_GIB:
        raise UserError(f"{folder} has {free:.2f} GiB free and {MINIMUM_FREE_GIB:.0f} GiB are needed; free some space.")


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the checkout's lock; the file names the holder's process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise UserError(
                f"this checkout is up already (process {lock.read().strip() or '?'}); `make down` stops it."
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        yield
        lock.truncate(0)
