"""Evictions under a budget, and pods that give way to more important ones."""

from collections.abc import AsyncIterator

import pytest

from hack.devcluster.client import ApiError
from hack.devcluster.objects import Obj, condition, condition_true, is_deleting, labels_of, name_of, status_of
from hack.devcluster.resources import DEPLOYMENTS, POD_DISRUPTION_BUDGETS, PODS, Resource
from tests.cluster.controllers.shapes import deployment, sleeper, until_rolled_out
from tests.support.cluster import Space, eventually, pod

PRIORITY_CLASSES = Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False)
PORT = 39_571


async def evict(space: Space, name: str) -> int:
    """Status code of an eviction."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": space.name}}
    try:
        await space.client.request("POST", PODS.path(space.name, name, "eviction"), body=body)
    except ApiError as error:
        return error.status
    return 201


async def test_a_budget_holds_back_evictions(space: Space) -> None:
    # Not ready at once, so that the second eviction comes before the replacement counts.
    main = sleeper(readinessProbe={"exec": {"command": ["true"]}, "initialDelaySeconds": 2, "periodSeconds": 1})
    await space.create(DEPLOYMENTS, deployment("web", 3, main))
    spec = {"maxUnavailable": "30%", "selector": {"matchLabels": {"app": "web"}}}
    await space.create(POD_DISRUPTION_BUDGETS, {"metadata": {"name": "web"}, "spec": spec})
    await until_rolled_out(space, "web")
    budget = await space.until(
        POD_DISRUPTION_BUDGETS, "web", lambda one: status_of(one).get("disruptionsAllowed") == 1, "one allowed"
    )
    # 30 % of three rounds up to one.
    counts = {name: status_of(budget)[name] for name in ("currentHealthy", "desiredHealthy", "expectedPods")}
    assert counts == {"currentHealthy": 3, "desiredHealthy": 2, "expectedPods": 3}
    first, second, _ = [name_of(one) for one in await space.pods("app=web")]
    assert await evict(space, first) == 201
    assert await evict(space, second) == 429
    await space.until_gone(PODS, first)
    await space.until(
        POD_DISRUPTION_BUDGETS, "web", lambda one: status_of(one).get("disruptionsAllowed") == 1, "one allowed again"
    )
    assert await evict(space, second) == 201


async def test_a_budget_without_a_size_allows_nothing(space: Space) -> None:
    await space.create(PODS, pod("p", sleeper(), terminationGracePeriodSeconds=0))
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "p"}}}
    await space.create(POD_DISRUPTION_BUDGETS, {"metadata": {"name": "b"}, "spec": spec})
    found = await space.until(
        POD_DISRUPTION_BUDGETS,
        "b",
        lambda one: (condition(one, "DisruptionAllowed") or {}).get("reason") == "SyncFailed",
        "SyncFailed",
    )
    assert status_of(found)["disruptionsAllowed"] == 0


@pytest.fixture
async def classes(space: Space) -> AsyncIterator[tuple[str, str]]:
    """Names of a low and a high PriorityClass."""
    low, high = f"{space.name}-low", f"{space.name}-high"
    for name, value in ((low, -10), (high, 1000)):
        await space.client.create(PRIORITY_CLASSES, {"metadata": {"name": name}, "value": value})
    yield low, high
    for name in (low, high):
        await space.client.delete(PRIORITY_CLASSES, ("", name))


def pinned(name: str, node: Obj, main: Obj, **spec: object) -> Obj:
    host = {"kubernetes.io/hostname": labels_of(node)["kubernetes.io/hostname"]}
    return pod(name, main, nodeSelector=host, terminationGracePeriodSeconds=1, **spec)


async def test_a_balloon_gives_way(space: Space, node: Obj, classes: tuple[str, str]) -> None:
    """The two want the same host port, which is scarce on a node of any size."""
    main = sleeper(ports=[{"containerPort": 80, "hostPort": PORT}])
    await space.create(PODS, pinned("balloon", node, main, priorityClassName=classes[0]))
    await space.until_ready("balloon")
    await space.create(PODS, pinned("equal", node, main, priorityClassName=classes[0]))
    found = await space.until(
        PODS, "equal", lambda one: (condition(one, "PodScheduled") or {}).get("status") == "False", "refused"
    )
    assert "didn't have free ports" in (condition(found, "PodScheduled") or {})["message"]
    await space.client.delete(PODS, (space.name, "equal"))
    await space.create(PODS, pinned("important", node, main, priorityClassName=classes[1]))
    await space.until_event("balloon", ["Preempted"])
    await space.until_ready("important")
    await space.until_gone(PODS, "balloon")


async def test_processor_room_is_made_for_the_more_important(space: Space, node: Obj, classes: tuple[str, str]) -> None:
    total = str(status_of(node)["allocatable"]["cpu"])
    milli = int(total[:-1]) if total.endswith("m") else int(total) * 1000
    main = sleeper(resources={"requests": {"cpu": f"{milli * 55 // 100}m"}})
    await space.create(PODS, pinned("balloon", node, main, priorityClassName=classes[0]))

    async def placed() -> Obj | None:
        found = await space.get(PODS, "balloon") or {}
        return found if condition(found, "PodScheduled") else None

    if not condition_true(await eventually(placed, "a decision"), "PodScheduled"):
        pytest.skip("the node has no room for a pod of half its size")
    await space.until_ready("balloon")
    await space.create(PODS, pinned("patient", node, main, priorityClassName=classes[1], preemptionPolicy="Never"))
    await space.until_event("patient", ["FailedScheduling"])
    balloon = await space.get(PODS, "balloon")
    assert balloon is not None
    assert not is_deleting(balloon)
    await space.client.delete(PODS, (space.name, "patient"))
    await space.until_gone(PODS, "patient")
    await space.create(PODS, pinned("important", node, main, priorityClassName=classes[1]))
    await space.until_ready("important")
    await space.until_gone(PODS, "balloon")


async def test_anti_affinity_leaves_the_second_pod_pending(space: Space, node: Obj) -> None:
    term = {"labelSelector": {"matchLabels": {"group": "apart"}}, "topologyKey": "kubernetes.io/hostname"}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    for name in ("one", "two"):
        body = pinned(name, node, sleeper(), affinity=apart)
        body["metadata"]["labels"]["group"] = "apart"
        await space.create(PODS, body)
        if name == "one":
            await space.until_ready("one")
    found = await space.until(
        PODS, "two", lambda one: (condition(one, "PodScheduled") or {}).get("status") == "False", "refused"
    )
    told = condition(found, "PodScheduled") or {}
    assert told["reason"] == "Unschedulable"
    assert "anti-affinity rules" in told["message"]
    await space.client.delete(PODS, (space.name, "one"))
    await space.until_ready("two")
