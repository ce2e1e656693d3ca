"""`haat top` and `logs`: a running broadcast from the outside."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import click

from hack.cli.errors import UserError
from hack.cli.kinds import STREAM, find, items, namespace_of, reference
from hack.cli.kube import Kube, Obj
from hack.cli.options import Target, output_option, run_on, target_options
from hack.cli.output import coloured, columns, document
from operators.core.children import OWNER_LABEL

PARTS = ("transcoder", "fanout", "all")
_CLEAR = "\033[H\033[2J"
_PALETTE = ("cyan", "yellow", "green", "magenta", "blue")
_UNITS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0}


@click.command()
@click.argument("stream", required=False)
@click.option("--interval", type=click.FloatRange(min=0.5), default=2.0, show_default=True, help="In seconds.")
@click.option("--once", is_flag=True, help="Print once; the default where the output is no terminal.")
@output_option("text", "json", "yaml")
@target_options
def top(target: Target, stream: str | None, interval: float, once: bool, output: str) -> None:
    """Viewers, sockets, bit rate and CPU of the streams, refreshed.

    \b
    haat top -A
    haat top launch -n shop --interval 5
    haat top --once -o json
    """
    still = once or output != "text" or not sys.stdout.isatty()

    async def work(kube: Kube) -> None:
        while True:
            rows = await figures(kube, target, stream)
            if still:
                click.echo(table(rows) if output == "text" else document({"items": rows}, output))
                return
            click.echo(f"{_CLEAR}{table(rows, colours=coloured())}\n\n{time.strftime('%H:%M:%S')}  Ctrl-C ends")
            await asyncio.sleep(interval)

    try:
        run_on(target, work)
    except KeyboardInterrupt:
        click.echo()


async def figures(kube: Kube, target: Target, name: str | None) -> list[Obj]:
    """One row a stream that has not ended."""
    if name:
        found = [await find(kube, STREAM, name, target.namespace)]
    else:
        namespace = "" if target.everywhere else target.namespace or kube.namespace
        everything = await items(kube, STREAM, namespace)
        found = [item for item in everything if (item.get("status") or {}).get("phase") not in ("Ended", "Failed")]
    usage = await cpu_by_pod(kube)
    return [row(item, usage) for item in found]


def row(stream: Obj, usage: dict[tuple[str, str], float]) -> Obj:
    """The figures of one stream; `cpu` is cores, None where nobody measures."""
    status = stream.get("status") or {}
    fanout, name, namespace = status.get("fanout") or {}, stream["metadata"]["name"], namespace_of(stream)
    cores = [
        value
        for (place, pod), value in usage.items()
        if place == namespace and pod.startswith((f"{name}-transcoder-", f"{name}-fanout-"))
    ]
    return {
        "stream": reference(stream),
        "phase": status.get("phase") or "Pending",
        "viewers": status.get("viewers", 0),
        "sockets": fanout.get("connections", 0),
        "rooms": f"{fanout.get('readyReplicas', 0)}/{fanout.get('replicas', 0)}",
        "kbps": (status.get("ingest") or {}).get("bitrateKbps", 0),
        "cpu": round(sum(cores), 3) if cores else None,
    }


def table(rows: list[Obj], *, colours: bool = False) -> str:
    """The rows as text."""
    if not rows:
        return "no stream is on"
    head = ["STREAM", "PHASE", "VIEWERS", "SOCKETS", "ROOM PODS", "KBIT/S", "CPU"]
    body = [
        [*(str(item[key]) for key in ("stream", "phase", "viewers", "sockets", "rooms", "kbps")), _cores(item["cpu"])]
        for item in rows
    ]
    return columns([head, *body], colours=colours)


async def cpu_by_pod(kube: Kube) -> dict[tuple[str, str], float]:
    """(namespace, pod) -> cores, from the metrics API, else from the kubelets' summaries; empty where neither is."""
    found = await _optional(kube, "/apis/metrics.k8s.io/v1beta1/pods")
    if found:
        return {
            (namespace_of(item), item["metadata"]["name"]): sum(cores(c["usage"]["cpu"]) for c in item["containers"])
            for item in found["items"]
        }
    nodes = await _optional(kube, "/api/v1/nodes") or {"items": []}
    names = [item["metadata"]["name"] for item in nodes["items"]]
    summaries = await asyncio.gather(*(_optional(kube, f"/api/v1/nodes/{n}/proxy/stats/summary") for n in names))
    return {
        (pod["podRef"]["namespace"], pod["podRef"]["name"]): sum(
            (container.get("cpu") or {}).get("usageNanoCores") or 0 for container in pod.get("containers") or ()
        )
        / 1e9
        for summary in summaries
        if summary
        for pod in summary.get("pods") or ()
    }


async def _optional(kube: Kube, path: str) -> Obj | None:
    """A document that may be missing, or not ours to read."""
    try:
        return await kube.find(path)
    except UserError:
        return None


def cores(quantity: str) -> float:
    """Cores of `250m`, `1200000n` or `2`."""
    suffix = quantity[-1:] if quantity[-1:].isalpha() else ""
    return float(quantity.removesuffix(suffix)) * _UNITS[suffix]


def _cores(value: float | None) -> str:
    return "-" if value is None else f"{value * 1000:.0f}m"


@click.command()
@click.argument("stream")
@click.argument("part", type=click.Choice(PARTS), default="all")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines; Ctrl-C ends.")
@click.option("--tail", type=click.IntRange(min=0), default=100, show_default=True, help="Last lines of each pod.")
@click.option("--since", type=click.IntRange(min=1), default=None, metavar="SECONDS", help="Only younger lines.")
@click.option("--previous", is_flag=True, help="Of the containers that crashed before.")
@target_options
def logs(target: Target, stream: str, part: str, follow: bool, tail: int, since: int | None, previous: bool) -> None:
    """Show the logs of a stream's pods, merged by time; PART is transcoder, fanout or all.

    \b
    haat logs launch -n shop
    haat logs launch transcoder -f
    haat logs launch fanout --since 600 --tail 1000
    """
    query: Obj = {"tailLines": tail, "timestamps": "true"}
    if since:
        query["sinceSeconds"] = since
    if previous:
        query["previous"] = "true"

    async def work(kube: Kube) -> None:
        found = await find(kube, STREAM, stream, target.namespace)
        pods = await pods_of(kube, found, part)
        if not pods:
            raise UserError(f"stream {reference(found)} has no {'' if part == 'all' else part + ' '}pods now.")
        await (_follow if follow else _print)(kube, pods, query)

    try:
        run_on(target, work)
    except KeyboardInterrupt:
        click.echo()


@dataclass(frozen=True, slots=True)
class LogSource:
    """A pod to read; `only` keeps the lines that have these words, because a pool's worker hosts others too."""

    namespace: str
    pod: str
    only: str = ""


async def pods_of(kube: Kube, stream: Obj, part: str) -> list[LogSource]:
    """A stream's pods, and the pool's worker that hosts it."""
    namespace = namespace_of(stream)
    owner = f"livestream.{stream['metadata']['name']}"[:63]
    selector = f"{OWNER_LABEL}={owner}" + ("" if part == "all" else f",app.kubernetes.io/name={part}")
    found = await kube.get(f"/api/v1/namespaces/{namespace}/pods", query={"labelSelector": selector})
    own = [LogSource(namespace, name) for name in sorted(item["metadata"]["name"] for item in found["items"])]
    return [*own, *(await _workers_of(kube, stream) if part in ("all", "transcoder") else [])]


async def _workers_of(kube: Kube, stream: Obj) -> list[LogSource]:
    """The worker of a pooled stream, wherever the pool is; nothing for a stream with pods of its own."""
    transcode = (stream.get("status") or {}).get("transcode") or {}
    if not transcode.get("pool") or not transcode.get("worker"):
        return []
    found = await kube.get("/api/v1/pods", query={"labelSelector": f"haat.dev/pool={transcode['pool']}"})
    words = f'"{reference(stream)}"'
    return [
        LogSource(item["metadata"]["namespace"], item["metadata"]["name"], words)
        for item in found["items"]
        if item["metadata"]["name"] == transcode["worker"]
    ]


async def _print(kube: Kube, pods: list[LogSource], query: Obj) -> None:
    """All lines by their time."""

    async def collect(source: LogSource) -> list[tuple[str, str, str]]:
        return [(*_split(line), source.pod) async for line in _lines(kube, source, query)]

    each = await asyncio.gather(*(collect(source) for source in pods))
    for _, line, pod in sorted((item for lines in each for item in lines), key=lambda item: item[0]):
        click.echo(f"{_prefix(pod, [source.pod for source in pods])} {line}")


async def _follow(kube: Kube, pods: list[LogSource], query: Obj) -> None:
    """Lines as they come."""
    names = [source.pod for source in pods]

    async def tell(source: LogSource) -> None:
        async for line in _lines(kube, source, {**query, "follow": "true"}):
            click.echo(f"{_prefix(source.pod, names)} {_split(line)[1]}")

    async with asyncio.TaskGroup() as group:
        for source in pods:
            group.create_task(tell(source))


async def _lines(kube: Kube, source: LogSource, query: Obj) -> AsyncIterator[str]:
    path = f"/api/v1/namespaces/{source.namespace}/pods/{source.pod}/log"
    async for line in kube.lines(path, query=query):
        if source.only in line:
            yield line


def _split(line: str) -> tuple[str, str]:
    """(time stamp of the kubelet, the line)."""
    stamp, _, rest = line.partition(" ")
    return stamp, rest


def _prefix(pod: str, pods: list[str]) -> str:
    width = max(map(len, pods))
    text = f"{pod:{width}}"
    return click.style(text, fg=_PALETTE[pods.index(pod) % len(_PALETTE)]) if coloured() else text
