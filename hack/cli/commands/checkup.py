"""`haat doctor`: this machine, and the platform on a cluster; each finding with its fix."""

import subprocess
import sys
from datetime import UTC, datetime

import click

from hack.cli.errors import FAILED, UserError
from hack.cli.kinds import KINDS, items, reference
from hack.cli.kube import Kube, Obj
from hack.cli.options import Target, output_option, run_on, target_options
from hack.cli.output import coloured, columns, document
from hack.cli.paths import ROOT

OLDEST = (1, 29)
LEASE = "haat-operators"
PART_OF = "app.kubernetes.io/part-of"


def finding(state: str, what: str, note: str) -> Obj:
    """`ok`, `-` (worth knowing) or `missing` (does not work), with what to do."""
    return {"state": state, "check": what, "note": note}


@click.command()
@click.option("--cluster", is_flag=True, help="Only the cluster.")
@click.option("--machine", is_flag=True, help="Only this machine.")
@click.option("--system-namespace", default="haat-system", show_default=True, help="Where the platform runs.")
@output_option("text", "json", "yaml")
@target_options
def doctor(target: Target, cluster: bool, machine: bool, system_namespace: str, output: str) -> None:
    """Check this machine and the platform on the cluster, and say what is missing.

    \b
    haat doctor
    haat doctor --cluster --context production -o json
    """
    failed = False
    if not cluster and output == "text":
        script = str(ROOT / "hack" / "bootstrap.py")
        failed = subprocess.run([sys.executable, script, "doctor"], check=False).returncode != 0
    if not machine:
        found = cluster_findings(target, system_namespace, must=cluster)
        failed = failed or any(item["state"] == "missing" for item in found)
        if output == "text":
            rows = [[item["state"], item["check"], item["note"]] for item in found]
            click.echo(columns([["STATE", "CHECK", "NOTE"], *rows], colours=coloured()))
        else:
            click.echo(document({"items": found}, output))
    sys.exit(FAILED if failed else 0)


def cluster_findings(target: Target, system: str, *, must: bool) -> list[Obj]:
    """Findings about the cluster; none that answers is worth knowing only, unless there `must` be one."""
    try:
        return run_on(target, lambda kube: examine(kube, system))
    except UserError as error:
        return [finding("missing" if must else "-", "cluster", str(error))]


async def examine(kube: Kube, system: str) -> list[Obj]:
    """API version, kinds, services, the leader, and objects that are not ready."""
    found = [await _version(kube)]
    for kind in KINDS:
        served = await kube.find(kind.path())
        fix = "served" if served else "install charts/haat-crds"
        found.append(finding("ok" if served else "missing", f"{kind.plural}.haat.dev", fix))
    found += await _deployments(kube, system)
    found.append(await _leader(kube, system))
    if all(item["state"] == "ok" for item in found[1 : 1 + len(KINDS)]):
        found += await _not_ready(kube)
    return found


async def _version(kube: Kube) -> Obj:
    version = await kube.get("/version")
    numbers = tuple(int("".join(filter(str.isdigit, str(version[part])))) for part in ("major", "minor"))
    text = f"Kubernetes {version.get('gitVersion', '.'.join(map(str, numbers)))} at {kube.server}"
    if numbers >= OLDEST:
        return finding("ok", "cluster", text)
    return finding("missing", "cluster", f"{text}; {OLDEST[0]}.{OLDEST[1]} or later is needed")


async def _deployments(kube: Kube, system: str) -> list[Obj]:
    listed = await kube.find(f"/apis/apps/v1/namespaces/{system}/deployments") or {}
    services = [
        item for item in listed.get("items", ()) if (item["metadata"].get("labels") or {}).get(PART_OF) == "haat"
    ]
    if not services:
        return [finding("missing", system, "no service of Haat runs there; `make up`, or install charts/haat")]
    found = []
    for service in services:
        name, wanted = service["metadata"]["name"], service["spec"].get("replicas", 1)
        ready = (service.get("status") or {}).get("readyReplicas", 0)
        fix = f"{ready}/{wanted} ready" + ("" if ready >= wanted else f"; kubectl -n {system} describe deploy {name}")
        found.append(finding("ok" if ready >= wanted else "missing", name, fix))
    return found


async def _leader(kube: Kube, system: str) -> Obj:
    lease = await kube.find(f"/apis/coordination.k8s.io/v1/namespaces/{system}/leases/{LEASE}")
    spec = (lease or {}).get("spec") or {}
    holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
    if not holder or not renewed:
        return finding("missing", "leader", f"no operator leads; kubectl -n {system} logs deploy/operators")
    age = (datetime.now(UTC) - datetime.fromisoformat(renewed)).total_seconds()
    if age > float(spec.get("leaseDurationSeconds") or 15):
        return finding("missing", "leader", f"{holder} has not renewed its Lease for {age:.0f} s")
    return finding("ok", "leader", str(holder))


async def _not_ready(kube: Kube) -> list[Obj]:
    found = []
    for kind in KINDS:
        for item in await items(kube, kind):
            status = item.get("status") or {}
            if status.get("phase") in ("Failed", "Interrupted"):
                note = f"{status['phase']} {status.get('reason') or status.get('message') or ''}".strip()
                fix = f"haat describe {kind.word} {item['metadata']['name']} -n {item['metadata']['namespace']}"
                found.append(finding("-", f"{kind.word} {reference(item)}", f"{note}; {fix}"))
    return found
