"""Death and return of the node agent: nothing is left running, pods come back in place."""

import asyncio
import signal
from pathlib import Path

import pytest

from hack.devcluster.node.context import cluster_marker
from hack.devcluster.node.reaper import marked_processes
from hack.devcluster.objects import status_of, uid_of
from hack.devcluster.resources import PODS
from tests.cluster.node.conftest import start_node
from tests.support.cluster import Cluster, Space, eventually, pod, script

FORKING = (
    "import os,subprocess,sys,time\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], start_new_session=True)\n"
    "print('up', flush=True)\ntime.sleep(300)\n"
)


def left(folder: Path) -> list[int]:
    return marked_processes(cluster_marker(folder / "node").encode())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
async def test_no_process_outlives_the_agent(space: Space, cluster: Cluster, number: signal.Signals) -> None:
    if cluster.node_process is None or cluster.folder is None:
        pytest.skip("the node agent is not ours")
    folder = cluster.folder
    await space.create(PODS, pod("p", script(FORKING)))
    before = await space.until_ready("p")

    async def forked() -> bool:
        return len(left(folder)) >= 2

    await eventually(forked, "a child in a session of its own")
    node = cluster.take_node()
    node.send_signal(number)
    await asyncio.to_thread(node.wait, 30)

    async def nothing() -> bool:
        return not left(folder)

    try:
        await eventually(nothing, "no process left")
    finally:
        cluster.nodes.append(start_node(cluster.kubeconfig, folder, int(cluster.ingress.rpartition(":")[2])))
    after = await space.until(
        PODS, "p", lambda one: status_of(one)["containerStatuses"][0]["restartCount"] == 1, "restarted in place"
    )
    assert uid_of(after) == uid_of(before)
    await space.until_ready("p")


async def test_daemonised_child_dies_with_its_container(space: Space, cluster: Cluster) -> None:
    if cluster.folder is None:
        pytest.skip("the node agent is not ours")
    folder = cluster.folder
    await space.create(PODS, pod("p", script(FORKING), terminationGracePeriodSeconds=1))
    await space.until_ready("p")

    async def forked() -> bool:
        return len(left(folder)) >= 2

    await eventually(forked, "a child in a session of its own")
    await space.client.delete(PODS, (space.name, "p"))
    await space.until_gone(PODS, "p")

    async def nothing() -> bool:
        return not left(folder)

    await eventually(nothing, "no process left")
