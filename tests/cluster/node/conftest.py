"""A cluster for the workload tests: `HAAT_TEST_KUBECONFIG`'s, or a devcluster of their own with API server and node.

The tests speak only the Kubernetes API, so that they hold on any cluster; what needs a port of this machine (Ingress)
takes its address from `HAAT_TEST_INGRESS_URL` and is skipped without.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hack.devcluster.client import ApiClient, ApiError
from hack.devcluster.objects import Obj, random_suffix
from hack.devcluster.resources import NAMESPACES, SERVICE_ACCOUNTS
from tests.support.cluster import Cluster, Space, eventually

CHECKOUT = Path(__file__).resolve().parents[3]
_START_SECONDS = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(module: str, *arguments: str, log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments, "--die-with-parent"], cwd=CHECKOUT, stdout=output, stderr=output
        )


def wait_for(path: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while not path.exists():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the API server did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.02)


def start_node(kubeconfig: Path, folder: Path, ingress_port: int) -> "subprocess.Popen[bytes]":
    return start(
        "hack.devcluster.node",
        "--kubeconfig",
        str(kubeconfig),
        "--state-dir",
        str(folder / "node"),
        "--checkout",
        str(CHECKOUT),
        "--ingress-port",
        str(ingress_port),
        log=folder / "node.log",
    )


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    named = os.environ.get("HAAT_TEST_KUBECONFIG")
    if named:
        yield Cluster(Path(named), os.environ.get("HAAT_TEST_INGRESS_URL", ""), [], None)
        return
    folder = tmp_path_factory.mktemp("workloads")
    kubeconfig, ingress_port = folder / "kubeconfig", free_port()
    api = start(
        "hack.devcluster.apiserver",
        "--state-dir",
        str(folder / "api"),
        "--port",
        "0",
        "--kubeconfig-out",
        str(kubeconfig),
        log=folder / "api.log",
    )
    try:
        wait_for(kubeconfig, api, folder / "api.log")
        nodes = [start_node(kubeconfig, folder, ingress_port)]
        try:
            yield Cluster(kubeconfig, f"http://127.0.0.1:{ingress_port}", nodes, folder)
        finally:
            for node in nodes:
                node.terminate()
                node.wait(30)
    finally:
        api.terminate()
        api.wait(10)


@pytest.fixture
async def space(cluster: Cluster) -> AsyncIterator[Space]:
    """A namespace for one test, deleted afterwards."""
    name = f"t-{random_suffix(8)}"
    async with ApiClient.from_kubeconfig(cluster.kubeconfig) as client:
        await client.create(NAMESPACES, {"metadata": {"name": name}})

        async def account() -> Obj | None:
            try:
                return await client.get(SERVICE_ACCOUNTS, name, "default")
            except ApiError:
                return None

        await eventually(account, "the default ServiceAccount")
        yield Space(client, name)
        await client.delete(NAMESPACES, ("", name))
