"""Deployments, StatefulSets and DaemonSets while their templates and sizes change."""

import asyncio

import pytest

from hack.devcluster.objects import (
    Obj,
    annotations_of,
    condition,
    is_deleting,
    labels_of,
    name_of,
    pod_ready,
    spec_of,
    status_of,
)
from hack.devcluster.resources import DAEMON_SETS, DEPLOYMENTS, PODS, REPLICA_SETS, STATEFUL_SETS
from tests.cluster.controllers.conftest import Kubectl
from tests.cluster.controllers.shapes import deployment, quick, rolled_out, sleeper, until_rolled_out
from tests.support.cluster import Space, eventually, server

pytestmark = pytest.mark.slow

BROKEN = "registry.invalid/none:1"


def coloured(colour: str) -> Obj:
    return server(env=[{"name": "COLOUR", "value": colour}])


async def test_a_rolling_update_keeps_enough_pods(space: Space) -> None:
    limits = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
    await space.create(DEPLOYMENTS, deployment("web", 3, coloured("red"), strategy=limits))
    await until_rolled_out(space, "web")
    wanted = deployment("web", 3, coloured("blue"), strategy=limits)
    await space.client.patch(DEPLOYMENTS, (space.name, "web"), {"spec": {"template": wanted["spec"]["template"]}})
    least, most = 3, 0
    while True:
        pods = [pod for pod in await space.pods("app=web") if not is_deleting(pod)]
        least, most = min(least, sum(map(pod_ready, pods))), max(most, len(pods))
        found = await space.get(DEPLOYMENTS, "web")
        if found is not None and rolled_out(found):
            break
        await asyncio.sleep(0.02)
    assert least >= 2
    assert most <= 4


async def sizes(space: Space) -> dict[str, int]:
    items = (await space.client.list(REPLICA_SETS, space.name))["items"]
    return {annotations_of(one)["deployment.kubernetes.io/revision"]: spec_of(one)["replicas"] for one in items}


async def test_scaling_in_mid_roll_out_is_proportional(space: Space) -> None:
    limits = {"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}}
    await space.create(DEPLOYMENTS, deployment("web", 4, sleeper(), strategy=limits))
    await until_rolled_out(space, "web")
    broken = {**sleeper(), "image": BROKEN}
    template = quick("web", broken)
    await space.client.patch(DEPLOYMENTS, (space.name, "web"), {"spec": {"template": template}})

    async def stuck() -> bool:
        return await sizes(space) == {"1": 3, "2": 3}

    await eventually(stuck, "one old pod given up, the surge and it given to the new one")
    await space.client.patch(DEPLOYMENTS, (space.name, "web"), {"spec": {"replicas": 8}}, subresource="scale")

    async def grown() -> bool:
        return await sizes(space) == {"1": 5, "2": 5}

    await eventually(grown, "both grown by their shares")


async def test_undo_brings_the_old_template_back(space: Space, kubectl: Kubectl) -> None:
    await space.create(DEPLOYMENTS, deployment("web", 1, sleeper(env=[{"name": "V", "value": "1"}])))
    await until_rolled_out(space, "web")
    newer = quick("web", sleeper(env=[{"name": "V", "value": "2"}]))
    await space.client.patch(DEPLOYMENTS, (space.name, "web"), {"spec": {"template": newer}})
    await until_rolled_out(space, "web")
    await asyncio.to_thread(kubectl, "rollout", "undo", "deployment/web")
    found = await until_rolled_out(space, "web")
    assert spec_of(found)["template"]["spec"]["containers"][0]["env"][0]["value"] == "1"

    async def numbered() -> bool:
        return annotations_of(await space.get(DEPLOYMENTS, "web") or {})["deployment.kubernetes.io/revision"] == "3"

    await eventually(numbered, "revision 3")
    assert set(await sizes(space)) == {"2", "3"}


async def test_a_paused_deployment_waits(space: Space) -> None:
    await space.create(DEPLOYMENTS, deployment("web", 1, sleeper()))
    await until_rolled_out(space, "web")
    newer = quick("web", sleeper(env=[{"name": "V", "value": "2"}]))
    await space.client.patch(DEPLOYMENTS, (space.name, "web"), {"spec": {"paused": True, "template": newer}})
    await space.until(
        DEPLOYMENTS,
        "web",
        lambda one: (condition(one, "Progressing") or {}).get("reason") == "DeploymentPaused",
        "paused",
    )
    assert len(await sizes(space)) == 1
    await space.client.patch(DEPLOYMENTS, (space.name, "web"), {"spec": {"paused": False}})
    await until_rolled_out(space, "web")
    assert len(await sizes(space)) == 2


async def test_a_roll_out_that_does_not_move_is_told(space: Space) -> None:
    body = deployment("web", 1, {**sleeper(), "image": BROKEN}, progressDeadlineSeconds=2)
    await space.create(DEPLOYMENTS, body)
    found = await space.until(
        DEPLOYMENTS, "web", lambda one: (condition(one, "Progressing") or {}).get("status") == "False", "the deadline"
    )
    assert (condition(found, "Progressing") or {})["reason"] == "ProgressDeadlineExceeded"


async def test_the_cheapest_pod_goes_first(space: Space) -> None:
    await space.create(DEPLOYMENTS, deployment("web", 3, sleeper()))
    await until_rolled_out(space, "web")
    names = sorted(name_of(pod) for pod in await space.pods("app=web"))
    note = {"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}}}
    await space.client.patch(PODS, (space.name, names[1]), note)
    await asyncio.sleep(0.2)
    await space.client.patch(DEPLOYMENTS, (space.name, "web"), {"spec": {"replicas": 2}}, subresource="scale")
    await space.until_gone(PODS, names[1])
    assert sorted(name_of(pod) for pod in await space.pods("app=web")) == [names[0], names[2]]


def stateful(replicas: int, value: str, **spec: object) -> Obj:
    return {
        "metadata": {"name": "db"},
        "spec": {
            "replicas": replicas,
            "serviceName": "db",
            "selector": {"matchLabels": {"app": "db"}},
            "template": quick("db", sleeper(env=[{"name": "V", "value": value}])),
            **spec,
        },
    }


async def values(space: Space) -> dict[str, str]:
    pods = await space.pods("app=db")
    return {name_of(pod): spec_of(pod)["containers"][0]["env"][0]["value"] for pod in pods if not is_deleting(pod)}


async def test_a_stateful_set_updates_above_its_partition_and_goes_back(space: Space, kubectl: Kubectl) -> None:
    await space.create(STATEFUL_SETS, stateful(2, "1"))
    await space.until(STATEFUL_SETS, "db", lambda one: status_of(one).get("readyReplicas") == 2, "both ready")
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    newer = stateful(2, "2", updateStrategy=strategy)["spec"]
    patch = {"spec": {key: newer[key] for key in ("template", "updateStrategy")}}
    await space.client.patch(STATEFUL_SETS, (space.name, "db"), patch)

    async def partly() -> bool:
        return await values(space) == {"db-0": "1", "db-1": "2"}

    await eventually(partly, "only the last one is new")
    await asyncio.to_thread(kubectl, "rollout", "undo", "statefulset/db")

    async def back() -> bool:
        return await values(space) == {"db-0": "1", "db-1": "1"}

    await eventually(back, "all old again")


async def test_a_daemon_set_replaces_its_pods(space: Space) -> None:
    def body(value: str) -> Obj:
        template = quick("agent", sleeper(env=[{"name": "V", "value": value}]))
        return {
            "metadata": {"name": "agent"},
            "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template},
        }

    def settled(found: Obj) -> bool:
        status = status_of(found)
        wanted = status.get("desiredNumberScheduled")
        return (
            bool(wanted)
            and status.get("observedGeneration") == found["metadata"]["generation"]
            and status.get("updatedNumberScheduled") == status.get("numberAvailable") == wanted
        )

    await space.create(DAEMON_SETS, body("1"))
    await space.until(DAEMON_SETS, "agent", settled, "available")
    first = {labels_of(pod)["controller-revision-hash"] for pod in await space.pods("app=agent")}
    await space.client.patch(DAEMON_SETS, (space.name, "agent"), {"spec": body("2")["spec"]})
    await space.until(DAEMON_SETS, "agent", settled, "available again")
    second = {
        labels_of(pod)["controller-revision-hash"] for pod in await space.pods("app=agent") if not is_deleting(pod)
    }
    assert len(second) == 1
    assert not first & second
