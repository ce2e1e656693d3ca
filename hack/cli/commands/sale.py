"""`haat sale start|pause|resume|cancel`: running a flash sale by hand."""

import base64
from typing import Any

import aiohttp
import click
import yaml

from hack.cli import keys
from hack.cli.errors import UserError
from hack.cli.kinds import SALE, find, namespace_of, reference
from hack.cli.kube import MERGE, Kube, Obj, Refused
from hack.cli.options import Target, output_option, run_on, target_options
from hack.cli.output import document, without_noise
from hack.cli.paths import STATE

SYSTEM = "haat-system"
_HTTP = aiohttp.ClientTimeout(total=15)


@click.group()
def sale() -> None:
    """Start, pause, resume or cancel a flash sale."""


@sale.command()
@click.argument("name")
@click.option(
    "--countdown", type=click.IntRange(0, 3600), default=10, show_default=True, help="Seconds until it opens."
)
@click.option("--url", default="", help="Public address of the platform; default: what the cluster says.")
@click.option("--system-namespace", default=SYSTEM, show_default=True, help="Where the platform runs.")
@output_option("text", "json", "yaml")
@target_options
def start(target: Target, name: str, countdown: int, url: str, system_namespace: str, output: str) -> None:
    """Bring the start forward, on the sale's own clock.

    Needs the right to read Secret haat-auth, or this checkout's own key.

    \b
    haat sale start launch-sale -n shop
    haat sale start launch-sale --countdown 60
    """

    async def work(kube: Kube) -> tuple[Obj, Obj]:
        found = await find(kube, SALE, name, target.namespace)
        base = (url or await _public_url(kube, system_namespace)).rstrip("/")
        token = await _host_token(kube, found, system_namespace)
        address = f"{base}/api/v1/sales/{found['metadata']['uid']}/start"
        return found, await _post(address, token, {"countdown_seconds": countdown})

    found, board = run_on(target, work)
    if output == "text":
        click.echo(f"{reference(found)} opens in {countdown} s ({board.get('phase', '')})")
    else:
        click.echo(document(board, output))


def _setting(verb: str, state: str, done: str, help_text: str) -> None:
    @sale.command(verb, help=f"{help_text}\n\n\b\nhaat sale {verb} launch-sale -n shop")
    @click.argument("name")
    @output_option("text", "json", "yaml", "name")
    @target_options
    def command(target: Target, name: str, output: str) -> None:
        async def work(kube: Kube) -> Obj:
            found = await find(kube, SALE, name, target.namespace)
            path = SALE.path(namespace_of(found), found["metadata"]["name"])
            return await kube.call("PATCH", path, body={"spec": {"state": state}}, content_type=MERGE)

        changed = run_on(target, work)
        click.echo(f"{reference(changed)} {done}" if output == "text" else document(without_noise(changed), output))


_setting("pause", "Paused", "is paused; held units keep their expiry", "Stop selling for a while; the clock goes on.")
_setting("resume", "Scheduled", "goes on", "Sell again after a pause.")
_setting("cancel", "Cancelled", "is cancelled", "Call a sale off for good; held units go back.")


async def _public_url(kube: Kube, system: str) -> str:
    found = await kube.find(f"/api/v1/namespaces/{system}/configmaps/haat-platform")
    platform = yaml.safe_load(((found or {}).get("data") or {}).get("platform.yaml", "")) or {}
    if not platform.get("publicUrl"):
        raise UserError(f"ConfigMap {system}/haat-platform names no publicUrl; give --url, or --system-namespace.")
    return str(platform["publicUrl"])


async def _host_token(kube: Kube, found: Obj, system: str) -> str:
    """A token for the sale's stream, signed with the platform's key where we may read it, else with this checkout's."""
    from workloads.common.tokens import Signer

    stream = (found["spec"].get("stream") or {}).get("name")
    streams = [f"{namespace_of(found)}/{stream}"] if stream else ["*"]
    try:
        secret = await kube.find(f"/api/v1/namespaces/{system}/secrets/haat-auth")
    except Refused as error:
        if error.status != 403:
            raise
        secret = None
    encoded = ((secret or {}).get("data") or {}).get("private-key")
    if encoded:
        signer = Signer(base64.b64decode(encoded).decode())
        return signer.issue(sub="cli-host", name="Host", role="host", streams=streams, ttl_seconds=300)
    if not (STATE / "auth.json").exists():
        raise UserError(f"Secret {system}/haat-auth cannot be read and this checkout has no key; ask for the right.")
    return keys.token(STATE / "auth.json", name="Host", role="host", streams=streams, hours=0.1)


async def _post(address: str, token: str, body: dict[str, Any]) -> Obj:
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=_HTTP) as session,
            session.post(address, json=body, headers=headers) as answer,
        ):
            found: Obj = await answer.json(content_type=None)
            if answer.status >= 400:
                raise UserError(f"the shop refused: {found.get('detail') or found.get('title') or answer.status}")
            return found
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise UserError(f"{address} does not answer ({error}); is the address right? --url changes it.") from error
