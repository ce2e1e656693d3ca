"""The autoscaler's arithmetic against upstream's cases, and its invariants."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.devcluster.controllers.hpa_algorithm import (
    MetricError,
    PodValue,
    Tolerances,
    by_average,
    by_utilization,
    group_pods,
    pod_requests,
)
from hack.devcluster.objects import Obj, format_time

NOW = 1_700_000_000.0


def pod(
    name: str, *, ready: bool = True, phase: str = "Running", started: float = 3600.0, since: float = 3590.0
) -> Obj:
    ready_condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "lastTransitionTime": format_time(NOW - since),
    }
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}]},
        "status": {"phase": phase, "startTime": format_time(NOW - started), "conditions": [ready_condition]},
    }


def utilization(
    current: int, target: int, levels: list[int | None], *, unready: int = 0, starting: int = 0
) -> tuple[int, int | None]:
    """Pods with a request of one core; a level in thousandths, None for no sample."""
    pods, values = [], {}
    for index, level in enumerate(levels):
        name = f"p{index}"
        young = index >= len(levels) - unready - starting
        pods.append(pod(name, ready=not young, started=60.0 if young else 3600.0, since=30.0))
        if level is not None:
            values[name] = PodValue(level, NOW, 5.0)
    groups = group_pods(pods, values, cpu=True, now=NOW)
    found = by_utilization(current, target, values, pod_requests(pods, "cpu"), groups, Tolerances())
    return found.replicas, found.utilization


@pytest.mark.parametrize(
    ("current", "target", "levels", "expected"),
    [
        (3, 30, [300, 500, 700], (5, 50)),
        (5, 50, [100, 300, 500, 250, 250], (3, 28)),
        (3, 100, [900, 1000, 1040], (3, 98)),
        (3, 50, [500, 500, 560], (3, 52)),
        (4, 20, [150, 150, 150, 150], (3, 15)),
        # A missing pod is idle when scaling up ...
        (3, 20, [400, 400, None], (4, 40)),
        (2, 20, [290, None], (2, 29)),
        # ... and busy when scaling down.
        (3, 50, [100, 100, None], (3, 10)),
        (5, 100, [100, 100, 100, 100, None], (2, 10)),
    ],
)
def test_utilization(current: int, target: int, levels: list[int | None], expected: tuple[int, int]) -> None:
    assert utilization(current, target, levels) == expected


def test_starting_pods_do_not_count_for_cpu() -> None:
    assert utilization(3, 30, [300, 500, 700], starting=0) == (5, 50)
    # The warm pod alone asks for fifteen; with the two others taken as idle it is five.
    assert utilization(3, 20, [1000, 0, 0], starting=2) == (5, 100)
    assert utilization(3, 30, [1000, 0, 0], starting=2) == (3, 100)
    # The rest would turn the direction: nothing moves.
    assert utilization(3, 60, [1000, 0, 0], starting=2)[0] == 3


def test_only_unready_pods_give_no_answer() -> None:
    with pytest.raises(MetricError, match="did not receive metrics for targeted pods"):
        utilization(2, 50, [500, 500], starting=2)


def test_a_missing_request_is_an_error() -> None:
    one = pod("p")
    del one["spec"]["containers"][0]["resources"]
    with pytest.raises(MetricError, match="missing request for cpu in container c of Pod p"):
        pod_requests([one], "cpu")


def test_groups() -> None:
    pods = [
        pod("ready"),
        pod("pending", phase="Pending"),
        pod("failed", phase="Failed"),
        pod("missing"),
        pod("late-unready", ready=False, started=3600, since=10),
        pod("never-ready", ready=False, started=3600, since=3595),
        pod("fresh-sample-missing", started=60, since=2),
    ]
    gone = pod("gone")
    gone["metadata"]["deletionTimestamp"] = format_time(NOW)
    values = {entry["metadata"]["name"]: PodValue(100, NOW, 5.0) for entry in [*pods, gone]}
    del values["missing"]
    found = group_pods([*pods, gone], values, cpu=True, now=NOW)
    assert found.ignored == {"failed", "gone"}
    assert found.missing == {"missing"}
    assert found.unready == {"pending", "never-ready", "fresh-sample-missing"}
    assert found.ready == 2
    assert group_pods(pods, values, cpu=False, now=NOW).unready == {"pending"}


def test_average_value_uses_the_target_for_missing_pods() -> None:
    pods = [pod("a"), pod("b"), pod("c")]
    values = {"a": PodValue(10_000, NOW, 0), "b": PodValue(10_000, NOW, 0)}
    groups = group_pods(pods, values, cpu=False, now=NOW)
    assert by_average(3, 20_000, values, groups, Tolerances()).replicas == 2
    assert by_average(3, 5_000, values, groups, Tolerances()).replicas == 4


def test_own_tolerance() -> None:
    pods, values = [pod("a")], {"a": PodValue(1_300, NOW, 0)}
    groups = group_pods(pods, values, cpu=False, now=NOW)
    assert by_average(1, 1_000, values, groups, Tolerances(up=0.5)).replicas == 1
    assert by_average(1, 1_000, values, groups, Tolerances()).replicas == 2


@given(
    levels=st.lists(st.one_of(st.none(), st.integers(0, 5_000)), min_size=1, max_size=12),
    target=st.integers(1, 200),
)
def test_missing_samples_never_move_further_than_the_known_ones(levels: list[int | None], target: int) -> None:
    known = [level for level in levels if level is not None]
    if not known:
        return
    current = len(levels)
    replicas, percent = utilization(current, target, levels)
    assert percent is not None
    ratio = percent / target
    if 0.9 <= ratio <= 1.1:
        assert replicas == current
    elif ratio > 1.1:
        assert current <= replicas <= max(current, math.ceil(ratio * current))
    else:
        assert replicas <= current
