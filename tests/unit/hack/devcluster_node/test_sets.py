"""ReplicaSet and StatefulSet plans."""

from typing import Any

import pytest

from hack.devcluster.controllers import replicaset, statefulset


def pod(
    name: str, *, ready: bool = True, phase: str = "Running", cost: int = 0, since: int = 0, **meta: Any
) -> dict[str, Any]:
    stamp = f"2026-01-01T00:00:{since:02d}Z"
    return {
        "metadata": {
            "name": name,
            "annotations": {replicaset.DELETION_COST: str(cost)},
            "creationTimestamp": stamp,
            **meta,
        },
        "spec": {"nodeName": "haat"},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": stamp}],
        },
    }


@pytest.mark.parametrize(
    ("pods", "first"),
    [
        ([pod("a"), pod("b", ready=False)], "b"),
        ([pod("a", cost=5), pod("b", cost=1)], "b"),
        ([pod("a", since=1), pod("b", since=9)], "b"),
        ([pod("a", cost=-1), pod("b", phase="Pending", ready=False, cost=9)], "b"),
    ],
    ids=["not ready", "cost", "younger", "pending before cost"],
)
def test_deletion_order(pods: list[dict[str, Any]], first: str) -> None:
    assert [entry["metadata"]["name"] for entry in replicaset.plan(1, pods).delete] == [first]


def test_replica_set_ignores_finished_and_terminating_pods() -> None:
    pods = [pod("a"), pod("b", phase="Failed"), pod("c", deletionTimestamp="x")]
    assert replicaset.plan(3, pods).create == 2


def stateful(replicas: int, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "s", "namespace": "n", "uid": "u"}, "spec": {"replicas": replicas, **spec}}


def members(**ready: bool) -> dict[int, dict[str, Any]]:
    """p0=True means ordinal 0, ready, of the present revision."""
    labels = {statefulset.REVISION_LABEL: "r1"}
    return {int(key[1:]): pod(f"s-{key[1:]}", ready=value, labels=labels) for key, value in ready.items()}


@pytest.mark.parametrize(
    ("replicas", "pods", "spec", "create", "delete"),
    [
        (3, {}, {}, (0,), []),
        (3, members(p0=False), {}, (), []),
        (3, members(p0=True), {}, (1,), []),
        (3, {}, {"podManagementPolicy": "Parallel"}, (0, 1, 2), []),
        (1, members(p0=True, p1=True, p2=True), {}, (), ["s-2"]),
    ],
    ids=["first", "wait", "next", "parallel", "scale down from the end"],
)
def test_stateful_steps(
    replicas: int, pods: dict[int, Any], spec: dict[str, Any], create: tuple[int, ...], delete: list[str]
) -> None:
    step = statefulset.plan(stateful(replicas, **spec), pods, revision="r1", now=1e9)
    assert step.create == create
    assert [entry["metadata"]["name"] for entry in step.delete] == delete


def test_stateful_update_goes_from_the_last_one() -> None:
    step = statefulset.plan(stateful(2), members(p0=True, p1=True), revision="r2", now=1e9)
    assert [entry["metadata"]["name"] for entry in step.delete] == ["s-1"]


def test_stateful_update_heals_a_stuck_revision() -> None:
    step = statefulset.plan(stateful(1), members(p0=False), revision="r2", now=1e9)
    assert [entry["metadata"]["name"] for entry in step.delete] == ["s-0"]


def test_stateful_pod_has_its_claims() -> None:
    owner = stateful(1, template={"spec": {"volumes": []}}, volumeClaimTemplates=[{"metadata": {"name": "data"}}])
    built = statefulset.build_pod(owner, 0, "r1")
    assert built["metadata"]["name"] == "s-0"
    assert built["spec"]["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "data-s-0"}}]
