"""The controllers' contract: only the Kubernetes API is spoken, so that it holds on any cluster with a Ready node.

`HAAT_TEST_KUBECONFIG` names the cluster; without it one devcluster serves the whole session.
"""

import os
import shutil
import subprocess
from collections.abc import Callable

import pytest

from hack.devcluster.client import ApiClient
from hack.devcluster.objects import Obj, condition_true
from hack.devcluster.resources import NODES
from tests.cluster.node.conftest import cluster as cluster
from tests.cluster.node.conftest import space as node_space
from tests.support.cluster import Cluster, Space, eventually

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]
own_space = node_space


@pytest.fixture
async def space(own_space: Space) -> Space:
    """A namespace on a cluster that can run pods."""
    await ready_node(own_space.client)
    return own_space


async def ready_node(client: ApiClient) -> Obj:
    """The first Ready node; skips where a cluster has none."""

    async def look() -> Obj | None:
        nodes = (await client.list(NODES))["items"]
        return next((node for node in nodes if condition_true(node, "Ready")), None)

    try:
        return await eventually(look, "a Ready node", patience=15)
    except AssertionError:
        pytest.skip("the cluster has no Ready node")


@pytest.fixture
async def node(space: Space) -> Obj:
    return await ready_node(space.client)


@pytest.fixture
def kubectl(cluster: Cluster, space: Space) -> Kubectl:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not on PATH")

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [program, "--kubeconfig", str(cluster.kubeconfig), "-n", space.name, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    return run


async def needs_api(space: Space, group: str) -> None:
    """Skip where a cluster of somebody else has no metrics pipeline; devcluster has one of its own."""
    if not os.environ.get("HAAT_TEST_KUBECONFIG"):
        return
    groups = (await space.client.request("GET", "/apis"))["groups"]
    if not any(entry["name"] == group for entry in groups):
        pytest.skip(f"the cluster serves no {group}")
