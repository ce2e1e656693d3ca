"""`haat get`, `describe`, `events` and `wait`: looking at resources."""

import asyncio
import time
from typing import Any

import click

from hack.cli import listing, story
from hack.cli.errors import TimedOut
from hack.cli.kinds import KINDS, Kind, KindType, find, namespace_of, reference
from hack.cli.kube import Kube, Obj
from hack.cli.options import Target, output_option, run_on, target_options, timeout_option
from hack.cli.output import Progress, coloured, document, without_noise
from operators.core.children import OWNER_LABEL

CHILDREN = (
    ("apps/v1", "deployments", "Deployment"),
    ("apps/v1", "statefulsets", "StatefulSet"),
    ("v1", "pods", "Pod"),
    ("v1", "services", "Service"),
    ("networking.k8s.io/v1", "ingresses", "Ingress"),
    ("batch/v1", "jobs", "Job"),
)
_POLL_SECONDS = 0.25


class AnyKind(KindType):
    """A kind, or all of them."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of kinds."""
        if isinstance(value, tuple):
            return value
        return KINDS if value == "all" else (super().convert(value, param, ctx),)


@click.command()
@click.argument("kinds", type=AnyKind(), default="all", metavar="[KIND]")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@output_option()
@target_options
def get(target: Target, kinds: tuple[Kind, ...], names: tuple[str, ...], output: str) -> None:
    """List channels, streams and sales (KIND: channels, streams, sales or all).

    Without -n the namespace of the kubeconfig's context is listed, or all where it names none.

    \b
    haat get                         everything
    haat get streams -A -o wide      with URLs and workers
    haat get sale launch-sale -n shop -o yaml
    haat get streams -o name         for scripts
    """
    if names and len(kinds) > 1:
        raise click.UsageError("name a kind before the names: haat get stream NAME.")

    async def work(kube: Kube) -> str:
        namespace = "" if target.everywhere else target.namespace or kube.namespace
        if output in ("json", "yaml", "name"):
            place = target.namespace if names else namespace
            return await listing.objects(kube, kinds, place, names, output=output)
        wide, colours = output == "wide", coloured()
        if names:
            return await listing.rows_of(kube, kinds[0], names, target.namespace, wide=wide, colours=colours)
        return await listing.tables(kube, kinds, namespace, wide=wide, colours=colours)

    click.echo(run_on(target, work))


@click.command()
@click.argument("kind", type=KindType())
@click.argument("name")
@output_option("text", "json", "yaml")
@target_options
def describe(target: Target, kind: Kind, name: str, output: str) -> None:
    """Tell the story of one object: phase, conditions, children, addresses, what comes next, last events.

    \b
    haat describe stream launch -n shop
    haat describe sale launch-sale -o json
    """

    async def work(kube: Kube) -> str:
        obj = await find(kube, kind, name, target.namespace)
        children, events = await asyncio.gather(children_of(kube, obj), events_about(kube, obj))
        now = time.time()
        told = story.story(obj, children, events, now)
        return story.text(told, now, colours=coloured()) if output == "text" else document(told, output)

    click.echo(run_on(target, work))


@click.command()
@click.argument("kind", type=KindType(), required=False)
@click.argument("name", required=False)
@output_option("text", "json", "yaml")
@target_options
def events(target: Target, kind: Kind | None, name: str | None, output: str) -> None:
    """Show what happened lately: to one object and its children, or to all of Haat's.

    \b
    haat events -A
    haat events stream launch -n shop
    """
    if kind and not name:
        raise click.UsageError(f"name the {kind.word}: haat events {kind.word} NAME.")

    async def work(kube: Kube) -> str:
        if kind and name:
            found = await events_about(kube, await find(kube, kind, name, target.namespace))
        else:
            namespace = "" if target.everywhere else target.namespace or kube.namespace
            kinds = {each.name for each in KINDS}
            found = [e for e in await _events(kube, namespace) if (e.get("involvedObject") or {}).get("kind") in kinds]
        told = sorted((story.event(item) for item in found), key=lambda item: str(item["at"]))
        if output != "text":
            return document({"items": told}, output)
        return story.event_table(told, time.time(), colours=coloured()) if told else "no events"

    click.echo(run_on(target, work))


@click.command()
@click.argument("kind", type=KindType())
@click.argument("name")
@click.option(
    "--for",
    "goal",
    required=True,
    metavar="GOAL",
    help="phase=Live (or phase=Live,Standby), condition=Ready, condition=Ready=False, or deleted.",
)
@timeout_option(120.0)
@output_option("text", "json", "yaml", "name")
@target_options
def wait(target: Target, kind: Kind, name: str, goal: str, timeout: float, output: str) -> None:
    """Wait until an object is as wanted; exit code 4 when it is not in time.

    \b
    haat wait stream launch --for phase=Live --timeout 60
    haat wait sale drop --for condition=Prewarmed
    haat wait stream launch --for deleted
    """
    what, _, value = goal.partition("=")
    if goal != "deleted" and (what not in ("phase", "condition") or not value):
        raise click.BadParameter("give phase=NAME, condition=NAME[=STATUS] or deleted.", param_hint="--for")

    async def work(kube: Kube) -> Obj | None:
        obj = await find(kube, kind, name, target.namespace)
        return await until(kube, kind, obj, goal, timeout)

    found = run_on(target, work)
    if output == "text" or found is None:
        click.echo(f"{kind.word} {name}: {goal}")
    else:
        click.echo(document(without_noise(found), output))


async def until(kube: Kube, kind: Kind, obj: Obj, goal: str, timeout: float) -> Obj | None:
    """Poll an object until the goal is met; None when it was to be deleted. TimedOut says what still waits."""
    path = kind.path(namespace_of(obj), obj["metadata"]["name"])
    deadline = time.monotonic() + timeout
    with Progress() as progress:
        while True:
            found = await kube.find(path)
            if found is None or found["metadata"]["uid"] != obj["metadata"]["uid"]:
                if goal == "deleted":
                    return None
                raise TimedOut(f"{kind.word} {reference(obj)} was deleted while it was waited for.")
            if met(found, goal):
                return {"apiVersion": "haat.dev/v1alpha1", "kind": kind.name, **found}
            progress.show(f"{kind.word} {reference(obj)}: {state(found)}")
            if time.monotonic() >= deadline:
                raise TimedOut(
                    f"{kind.word} {reference(obj)} is not {goal} after {timeout:g} s, it is {state(found)}; "
                    f"`haat describe {kind.word} {obj['metadata']['name']}` says what waits."
                )
            await asyncio.sleep(_POLL_SECONDS)


def met(obj: Obj, goal: str) -> bool:
    """Whether the status reached the goal of `haat wait`."""
    status = obj.get("status") or {}
    what, _, value = goal.partition("=")
    if what == "phase":
        return status.get("phase") in value.split(",")
    if what == "condition":
        name, _, wanted = value.partition("=")
        found = {item["type"]: item["status"] for item in status.get("conditions") or ()}
        return found.get(name) == (wanted or "True")
    return False


def state(obj: Obj) -> str:
    """Phase, and the first condition that is not true, with its message."""
    status = obj.get("status") or {}
    phase = status.get("phase") or "Pending"
    open_ones = [c for c in status.get("conditions") or () if c["status"] != "True" and c["type"] != "Ready"]
    why = f", {open_ones[0].get('message') or open_ones[0]['type']}" if open_ones else ""
    return f"{phase}{why}"


async def children_of(kube: Kube, obj: Obj) -> list[Obj]:
    """Everything that carries the operators' label of this owner."""
    owner = f"{obj['kind'].lower()}.{obj['metadata']['name']}"[:63]
    lists = await asyncio.gather(*(_labelled(kube, obj, f"{OWNER_LABEL}={owner}", *kind) for kind in CHILDREN))
    return [item for each in lists for item in each]


async def _labelled(kube: Kube, obj: Obj, selector: str, version: str, plural: str, kind: str) -> list[Obj]:
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    path = f"{base}/namespaces/{namespace_of(obj)}/{plural}"
    found = await kube.find(path, query={"labelSelector": selector})
    return [{**item, "kind": kind} for item in (found or {}).get("items", ())]


async def events_about(kube: Kube, obj: Obj) -> list[Obj]:
    """Events on the object and on what is named after it."""
    name = obj["metadata"]["name"]
    return [
        item
        for item in await _events(kube, namespace_of(obj))
        if (about := (item.get("involvedObject") or {})).get("name") == name
        or str(about.get("name", "")).startswith(
            (f"{name}-transcoder", f"{name}-fanout", f"{name}-stream", f"{name}-sale")
        )
    ]


async def _events(kube: Kube, namespace: str) -> list[Obj]:
    path = f"/api/v1/namespaces/{namespace}/events" if namespace else "/api/v1/events"
    found: list[Obj] = (await kube.get(path))["items"]
    return found
