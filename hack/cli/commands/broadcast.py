"""`haat go-live` and `end`: a broadcast from the first command to the last viewer."""

import base64
import re
import time
from typing import Any

import click

from hack.cli.commands.look import until
from hack.cli.errors import UserError
from hack.cli.kinds import CHANNEL, STREAM, find, namespace_of, reference
from hack.cli.kube import MERGE, Kube, Obj, Refused
from hack.cli.options import Target, output_option, run_on, target_options, timeout_option
from hack.cli.output import document, without_noise


@click.command("go-live")
@click.argument("channel")
@click.option("--title", required=True, help="What viewers read above the picture.")
@click.option("--name", default="", help="Name of the LiveStream; default: made from channel and time.")
@click.option("--description", default="", help="Below the title.")
@click.option("--language", default="en", show_default=True, help="BCP 47 tag.")
@click.option("--catalog", default="", metavar="CONFIGMAP", help="ConfigMap with the products.")
@click.option("--no-wait", is_flag=True, help="Do not wait for Standby.")
@timeout_option(120.0)
@output_option("text", "json", "yaml", "name")
@target_options
def go_live(
    target: Target,
    channel: str,
    title: str,
    name: str,
    description: str,
    language: str,
    catalog: str,
    no_wait: bool,
    timeout: float,
    output: str,
) -> None:
    """Make a LiveStream of CHANNEL, wait until it takes a publisher, and print where to publish and to watch.

    The stream key is a secret: whoever has it can publish.

    \b
    haat go-live aarong --title "Jamdani launch night"
    haat go-live aarong -n shop --title "Encore" --name encore -o json
    """

    async def work(kube: Kube) -> Obj:
        parent = await find(kube, CHANNEL, channel, target.namespace)
        wanted = name or f"{parent['metadata']['name']}-{time.strftime('%m%d-%H%M%S', time.gmtime())}"
        spec: dict[str, Any] = {"channel": {"name": parent["metadata"]["name"]}, "title": title, "language": language}
        if description:
            spec["description"] = description
        if catalog:
            spec["catalogRef"] = {"name": catalog}
        body = {
            "apiVersion": "haat.dev/v1alpha1",
            "kind": STREAM.name,
            "metadata": {"name": wanted, "namespace": namespace_of(parent)},
            "spec": spec,
        }
        made = await _create(kube, namespace_of(parent), body)
        if no_wait:
            return made
        return await until(kube, STREAM, made, "phase=Standby,Live", timeout) or made

    async def with_addresses(kube: Kube) -> tuple[Obj, dict[str, str]]:
        made = await work(kube)
        return made, {} if no_wait else await addresses(kube, made)

    stream, where = run_on(target, with_addresses)
    if output == "text":
        click.echo(f"{reference(stream)} is {(stream.get('status') or {}).get('phase') or 'made'}")
        for label, value in where.items():
            click.echo(f"  {label:8} {value}")
    elif output == "name":
        click.echo(document(stream, output))
    else:
        click.echo(document({**without_noise(stream), "addresses": where}, output))


@click.command()
@click.argument("stream")
@click.option("--no-wait", is_flag=True, help="Do not wait until it has ended.")
@timeout_option(180.0)
@output_option("text", "json", "yaml", "name")
@target_options
def end(target: Target, stream: str, no_wait: bool, timeout: float, output: str) -> None:
    """End a stream for good; viewers are told, the room drains, the pods go.

    \b
    haat end launch -n shop
    """

    async def work(kube: Kube) -> Obj:
        found = await find(kube, STREAM, stream, target.namespace)
        path = STREAM.path(namespace_of(found), found["metadata"]["name"])
        patched = await kube.call("PATCH", path, body={"spec": {"desiredState": "Ended"}}, content_type=MERGE)
        if no_wait:
            return patched
        return await until(kube, STREAM, patched, "phase=Ended", timeout) or patched

    ended = run_on(target, work)
    if output == "text":
        phase = (ended.get("status") or {}).get("phase")
        click.echo(f"{reference(ended)} {'has ended' if phase == 'Ended' else 'is ending'}")
    else:
        click.echo(document(without_noise(ended), output))


async def _create(kube: Kube, namespace: str, body: Obj) -> Obj:
    name = body["metadata"]["name"]
    try:
        return await kube.call("POST", STREAM.path(namespace), body=body)
    except Refused as error:
        if error.status == 409:
            raise UserError(
                f"stream {namespace}/{name} exists already; give another --name, or end it first."
            ) from error
        raise


async def addresses(kube: Kube, stream: Obj) -> dict[str, str]:
    """Where to publish, with the key, and where to watch."""
    status = stream.get("status") or {}
    urls = status.get("urls") or {}
    secret_name = status.get("keySecret") or f"{stream['metadata']['name']}-stream-key"
    secret = await kube.find(f"/api/v1/namespaces/{namespace_of(stream)}/secrets/{secret_name}")
    data = (secret or {}).get("data") or {}
    key = base64.b64decode(data.get("stream-key", "")).decode()
    publish = base64.b64decode(data.get("rtmp-url", "")).decode()
    if not key:
        raise UserError(
            f"Secret {namespace_of(stream)}/{secret_name} has no stream key; `haat doctor` looks at the operators."
        )
    return {
        "publish": publish or f"{urls.get('ingest', '')}/{key}",
        "key": key,
        "viewer": viewer_url(stream),
    }


def viewer_url(stream: Obj) -> str:
    """The page of a stream: the status names it, or its playlist's address tells where it is."""
    urls = (stream.get("status") or {}).get("urls") or {}
    return str(urls.get("page") or f"{public_base(stream)}/s/{reference(stream)}")


def public_base(stream: Obj) -> str:
    """Address of the platform as the stream's URLs have it, without a path; empty when there are none yet."""
    urls = (stream.get("status") or {}).get("urls") or {}
    match = re.match(r"(https?://[^/]+)", str(urls.get("hls") or ""))
    return match.group(1) if match else ""
