"""Deployment roll-outs, stepped against a tiny model of ReplicaSets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.devcluster.controllers import rollout

NEW = {"metadata": {"labels": {"app": "x"}}, "spec": {"v": 2}}


def deployment(replicas: int, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "d", "generation": 2}, "spec": {"replicas": replicas, "template": NEW, **spec}}


def replica_set(name: str, size: int, available: int, revision: int = 1, digest: str = "old") -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "labels": {rollout.HASH_LABEL: digest},
            "annotations": {rollout.REVISION: str(revision)},
        },
        "spec": {"replicas": size},
        "status": {"replicas": size, "availableReplicas": available, "readyReplicas": available},
    }


def current(size: int, available: int) -> dict[str, Any]:
    return replica_set("new", size, available, revision=9, digest=rollout.template_hash(NEW))


@pytest.mark.parametrize(
    ("spec", "sets", "wanted"),
    [
        pytest.param({}, [current(0, 0)], {"new": 4}, id="first"),
        pytest.param({}, [current(4, 4)], {}, id="settled"),
        pytest.param({}, [current(6, 6)], {"new": 4}, id="scale down"),
        pytest.param({}, [current(0, 0), replica_set("a", 4, 4)], {"new": 1}, id="surge one"),
        pytest.param({}, [current(1, 0), replica_set("a", 4, 4)], {"a": 3}, id="one may be unavailable"),
        pytest.param({}, [current(1, 1), replica_set("a", 4, 4)], {"a": 2}, id="ready one frees two"),
        pytest.param({}, [current(1, 0), replica_set("a", 4, 2)], {"a": 3}, id="unready old pods go first"),
        pytest.param(
            {"strategy": {"type": "Recreate"}}, [current(0, 0), replica_set("a", 4, 4)], {"a": 0}, id="recreate"
        ),
    ],
)
def test_next_sizes(spec: dict[str, Any], sets: list[Any], wanted: dict[str, int]) -> None:
    assert rollout.plan_sizes(deployment(4, **spec), sets[0], sets, pods_left=4) == wanted


def test_recreate_waits_for_the_last_old_pod() -> None:
    sets = [current(0, 0), replica_set("a", 0, 0)]
    wanted = deployment(2, strategy={"type": "Recreate"})
    assert rollout.plan_sizes(wanted, sets[0], sets, pods_left=1) == {}
    assert rollout.plan_sizes(wanted, sets[0], sets, pods_left=0) == {"new": 2}


limits = st.one_of(st.integers(0, 4), st.sampled_from(["0%", "25%", "50%", "100%"]))


@given(st.integers(1, 9), limits, limits, st.randoms(use_true_random=False))
def test_rolling_update_ends_and_keeps_its_bounds(replicas: int, surge: Any, unavailable: Any, random: Any) -> None:
    """Pods become available one at a time in any order; the bounds hold in every step."""
    spec = {"strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}
    wanted = deployment(replicas, **spec)
    bounds = rollout.limits_of(wanted)
    sets = [current(0, 0), replica_set("a", replicas, replicas)]
    for _ in range(200):
        sizes = rollout.plan_sizes(wanted, sets[0], sets, pods_left=0)
        for entry in sets:
            size = sizes.get(entry["metadata"]["name"], rollout.size(entry))
            available = min(size, entry["status"]["availableReplicas"])
            entry["spec"]["replicas"] = entry["status"]["replicas"] = size
            entry["status"]["availableReplicas"] = available
        assert sum(rollout.size(entry) for entry in sets) <= replicas + bounds.surge
        assert sum(entry["status"]["availableReplicas"] for entry in sets) >= replicas - bounds.unavailable
        waiting = [entry for entry in sets if entry["status"]["availableReplicas"] < rollout.size(entry)]
        if waiting:
            random.choice(waiting)["status"]["availableReplicas"] += 1
        elif not sizes:
            break
    assert [rollout.size(entry) for entry in sets] == [replicas, 0]


def test_hash_ignores_its_own_label_and_nulls() -> None:
    labelled = {"metadata": {"labels": {"app": "x", rollout.HASH_LABEL: "y"}}, "spec": {"v": 2, "n": None}}
    assert rollout.template_hash(labelled) == rollout.template_hash(NEW)
    assert rollout.template_hash({**NEW, "spec": {"v": 3}}) != rollout.template_hash(NEW)


def test_history_limit_keeps_the_newest() -> None:
    sets = [replica_set(f"r{index}", 0, 0, revision=index) for index in range(5)]
    assert rollout.surplus_history(deployment(1, revisionHistoryLimit=2), None, sets) == ("r0", "r1", "r2")


def test_deadline_and_completion_conditions() -> None:
    wanted = deployment(1, progressDeadlineSeconds=10)
    status = rollout.deployment_status(wanted, current(1, 0), [current(1, 0)], 0.0)
    wanted["status"] = status
    late = rollout.deployment_status(wanted, current(1, 0), [current(1, 0)], 11.0)
    reasons = {entry["type"]: entry["reason"] for entry in late["conditions"]}
    assert reasons["Progressing"] == "ProgressDeadlineExceeded"
    done = rollout.deployment_status(wanted, current(1, 1), [current(1, 1)], 12.0)
    reasons = {entry["type"]: (entry["status"], entry["reason"]) for entry in done["conditions"]}
    assert reasons["Progressing"] == ("True", "NewReplicaSetAvailable")
    assert reasons["Available"][0] == "True"
