"""Stabilization, scaling policies and limits."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.devcluster.controllers.hpa_behavior import History, Timed, bounds, decide, rules_of, tolerances_of
from hack.devcluster.objects import Obj

NOW = 1_000_000.0


def hpa(behavior: Obj | None = None, *, least: int = 1, most: int = 100) -> Obj:
    spec: Obj = {"minReplicas": least, "maxReplicas": most}
    if behavior is not None:
        spec["behavior"] = behavior
    return {"spec": spec}


def step(autoscaler: Obj, current: int, desired: int, history: History | None = None, now: float = NOW) -> Any:
    return decide(autoscaler, current=current, desired=desired, history=history or History(), now=now)


@pytest.mark.parametrize(
    ("current", "desired", "least", "most", "expected", "reason"),
    [
        (1, 10, 1, 100, 4, "ScaleUpLimit"),
        (3, 100, 1, 100, 6, "ScaleUpLimit"),
        (5, 20, 1, 8, 8, "TooManyReplicas"),
        (5, 0, 2, 8, 2, "TooFewReplicas"),
        (5, 3, 1, 8, 3, "DesiredWithinRange"),
    ],
)
def test_plain_limits(current: int, desired: int, least: int, most: int, expected: int, reason: str) -> None:
    found = step(hpa(least=least, most=most), current, desired)
    assert (found.replicas, found.limit[0]) == (expected, reason)
    assert found.limited == (reason != "DesiredWithinRange")


@pytest.mark.parametrize("behavior", [None, {}])
def test_the_highest_of_five_minutes_holds_downwards(behavior: Obj | None) -> None:
    history = History()
    autoscaler = hpa(behavior)
    assert step(autoscaler, 8, 8, history).replicas == 8
    held = step(autoscaler, 8, 2, history, NOW + 299)
    assert (held.replicas, held.able[0]) == (8, "ScaleDownStabilized")
    assert step(autoscaler, 8, 2, history, NOW + 301).replicas == 2


def test_an_upward_window_takes_the_lowest() -> None:
    autoscaler = hpa({"scaleUp": {"stabilizationWindowSeconds": 60}})
    history = History()
    step(autoscaler, 3, 3, history)
    held = step(autoscaler, 3, 6, history, NOW + 30)
    assert (held.replicas, held.able[0]) == (3, "ScaleUpStabilized")
    assert step(autoscaler, 3, 6, history, NOW + 61).replicas == 6


@pytest.mark.parametrize(
    ("policies", "select", "expected"),
    [
        ([{"type": "Pods", "value": 2, "periodSeconds": 60}], "Max", 12),
        ([{"type": "Percent", "value": 10, "periodSeconds": 60}], "Max", 11),
        (
            [
                {"type": "Pods", "value": 2, "periodSeconds": 60},
                {"type": "Percent", "value": 50, "periodSeconds": 60},
            ],
            "Max",
            15,
        ),
        (
            [
                {"type": "Pods", "value": 2, "periodSeconds": 60},
                {"type": "Percent", "value": 50, "periodSeconds": 60},
            ],
            "Min",
            12,
        ),
        ([{"type": "Pods", "value": 2, "periodSeconds": 60}], "Disabled", 10),
    ],
)
def test_up_policies(policies: list[Obj], select: str, expected: int) -> None:
    autoscaler = hpa({"scaleUp": {"policies": policies, "selectPolicy": select}})
    assert step(autoscaler, 10, 50).replicas == expected


@pytest.mark.parametrize(
    ("policies", "select", "expected"),
    [
        ([{"type": "Pods", "value": 2, "periodSeconds": 60}], "Max", 8),
        ([{"type": "Percent", "value": 25, "periodSeconds": 60}], "Max", 7),
        (
            [
                {"type": "Pods", "value": 4, "periodSeconds": 60},
                {"type": "Percent", "value": 10, "periodSeconds": 60},
            ],
            "Min",
            9,
        ),
        ([{"type": "Pods", "value": 4, "periodSeconds": 60}], "Disabled", 10),
    ],
)
def test_down_policies(policies: list[Obj], select: str, expected: int) -> None:
    down = {"policies": policies, "selectPolicy": select, "stabilizationWindowSeconds": 0}
    assert step(hpa({"scaleDown": down}), 10, 1).replicas == expected


def test_a_policy_counts_what_its_period_has_seen() -> None:
    policy = {"type": "Pods", "value": 4, "periodSeconds": 60}
    autoscaler = hpa({"scaleUp": {"policies": [policy]}})
    history = History()
    history.record_change(5, 8, NOW)
    assert step(autoscaler, 8, 50, history, NOW + 10).replicas == 9
    assert step(autoscaler, 8, 50, history, NOW + 61).replicas == 12


def test_defaults() -> None:
    assert bounds({"spec": {"maxReplicas": 3}}) == (1, 3)
    assert rules_of(hpa({}), "scaleDown").window == 300
    assert rules_of(hpa({}), "scaleUp").window == 0
    assert tolerances_of(hpa({"scaleUp": {"tolerance": "50m"}})).up == pytest.approx(0.05)


@given(
    current=st.integers(1, 60),
    desired=st.integers(0, 500),
    least=st.integers(1, 20),
    extra=st.integers(0, 40),
    recent=st.lists(st.integers(1, 60), max_size=4),
    behavior=st.booleans(),
)
def test_the_result_is_within_the_limits(
    current: int, desired: int, least: int, extra: int, recent: list[int], behavior: bool
) -> None:
    most = least + extra
    current = min(max(current, least), most)
    history = History(recommendations=[Timed(min(max(count, least), most), NOW - 10) for count in recent])
    found = step(hpa({} if behavior else None, least=least, most=most), current, desired, history)
    assert least <= found.replicas <= most
    if desired >= current:
        assert found.replicas >= current
