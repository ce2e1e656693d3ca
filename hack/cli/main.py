"""The commands of `haat`, which is `kubectl haat` too.

Exit codes: 0 done, 1 failed with a sentence, 2 wrong usage, 3 not found, 4 not in time.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click

from hack.cli import keys, samples, tools, web
from hack.cli.commands import broadcast, checkup, look, operate
from hack.cli.commands import sale as sales
from hack.cli.console import Console
from hack.cli.endpoints import assemble
from hack.cli.errors import UserError
from hack.cli.kinds import STREAM, find
from hack.cli.kube import Kube
from hack.cli.options import Target, run_on
from hack.cli.paths import ENDPOINTS, KUBECONFIG, ROOT, STATE, WEB
from hack.cli.ports import Ports
from hack.cli.up import write_endpoints
from hack.devcluster.client import ApiError
from workloads.common.tokens import Role

CLUSTERS = ("devcluster", "kind", "current")


class Haat(click.Group):
    """Turns expected failures into one sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(f"haat: {error}", err=True)
            sys.exit(error.code)
        except ApiError as error:
            click.echo(f"haat: the cluster refused: {error}", err=True)
            sys.exit(1)


@click.group(cls=Haat, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option("0.1.0", prog_name="haat")
def main() -> None:
    """Haat: live commerce in Kubernetes.

    Works as `kubectl haat`, too. Channels, streams and sales are found by name in any namespace, unless two share it.

    \b
    Exit codes: 0 done, 1 failed (one sentence says why and what to do), 2 wrong usage, 3 not found, 4 not in time.
    NO_COLOR=1 switches colours off; on a pipe there are none.

    \b
    haat up                                        a platform on this machine
    haat get                                       what is there
    haat go-live aarong --title "Launch night"     a stream, its key, its page
    haat describe stream launch                    what it waits for
    haat sale start launch-sale                    now
    haat end launch                                done
    """


@main.command()
@click.option("--cluster", type=click.Choice(CLUSTERS), default="devcluster", show_default=True)
@click.option(
    "-f",
    "--values",
    "values",
    multiple=True,
    envvar="HAAT_VALUES",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    help="Values file for charts/haat, over this machine's own; may be repeated.",
)
def up(cluster: str, values: tuple[Path, ...]) -> None:
    """Start the platform and keep it in the foreground."""
    if cluster == "devcluster":
        from hack.cli.up import up as run_up

        _run(run_up(Console(), values))
        return
    script = ROOT / "hack" / "kind" / "up"
    given = {"HAAT_VALUES": os.pathsep.join(map(str, values))} if values else {}
    sys.exit(subprocess.run([str(script), cluster], check=False, env=os.environ | given).returncode)


@main.command()
def down() -> None:
    """Stop the platform that runs in this checkout."""
    lock = STATE / "up.lock"
    text = lock.read_text().strip() if lock.exists() else ""
    if not text.isdigit():
        click.echo("nothing runs in this checkout")
        return
    try:
        os.kill(int(text), signal.SIGTERM)
    except ProcessLookupError:
        click.echo("nothing runs in this checkout")
        return
    deadline = time.monotonic() + 45
    while lock.read_text().strip() == text and time.monotonic() < deadline:
        time.sleep(0.2)
    click.echo("stopped" if lock.read_text().strip() != text else "still stopping; see .haat/logs")


@main.command()
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def endpoints(output: str) -> None:
    """Print the addresses of the running platform."""
    if not ENDPOINTS.exists():
        raise UserError("nothing runs in this checkout; `make up` starts it.")
    document = json.loads(ENDPOINTS.read_text())
    if output == "json":
        click.echo(json.dumps(document, indent=1))
        return
    for name, value in document.items():
        click.echo(f"{name:12} {value}")


@main.command()
@click.option("--role", type=click.Choice(["viewer", "moderator", "host"]), required=True)
@click.option("--stream", "streams", multiple=True, required=True, help="Stream id <namespace>/<name>, or *.")
@click.option("--name", default="Host", show_default=True)
@click.option("--hours", default=24.0, show_default=True)
def token(role: Role, streams: tuple[str, ...], name: str, hours: float) -> None:
    """Sign a token with this checkout's key."""
    click.echo(keys.token(STATE / "auth.json", name=name, role=role, streams=list(streams), hours=hours))


@main.command("auth-values")
def auth_values() -> None:
    """Print the chart's `auth` values, making the key pair when there is none."""
    click.echo(json.dumps({"auth": keys.auth_values(STATE / "auth.json")}, indent=1))


@main.command("write-endpoints", hidden=True)
@click.option("--http-port", type=int, required=True)
@click.option("--rtmp-port", type=int, required=True)
def endpoints_of_cluster(http_port: int, rtmp_port: int) -> None:
    """Write the endpoints file for the samples of the cluster that this checkout's kubeconfig names."""

    async def key(kube: Kube) -> str:
        stream = await find(kube, STREAM, samples.STREAM, samples.NAMESPACE)
        return (await broadcast.addresses(kube, stream))["key"]

    found = run_on(Target(KUBECONFIG, None, "", False), key)
    write_endpoints(assemble(found, Ports(http=http_port, rtmp=rtmp_port, api=0)))


@main.command("web-build", hidden=True)
def web_build() -> None:
    """Build the web application if its sources changed."""
    web.build(Console())


@main.command("web-check", hidden=True)
def web_check() -> None:
    """Type-check, lint and unit-test the web application."""
    console = Console()
    web.install(console)
    console.step(f"checking {WEB.relative_to(ROOT)}")
    web.npm("run", "check")


@main.command("web-audit", hidden=True)
def web_audit() -> None:
    """Look for known vulnerabilities in the npm packages that reach a browser."""
    console = Console()
    web.install(console)
    web.npm("audit", "--omit=dev")


@main.command("test-tools", hidden=True)
def test_tools() -> None:
    """Install Chromium and kubectl for the tests, where that is allowed."""
    tools.ensure(Console())


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


for command in (
    look.get,
    look.describe,
    look.events,
    look.wait,
    broadcast.go_live,
    broadcast.end,
    sales.sale,
    operate.top,
    operate.logs,
    checkup.doctor,
):
    main.add_command(command)
