"""What a budget allows."""

import pytest

from hack.devcluster.controllers.disruption import Expected, budget_status, expectation, needs_sizes
from hack.devcluster.objects import Obj, format_time

NOW = 1e9


def pods(ready: int, unready: int = 0) -> list[Obj]:
    values = [*["True"] * ready, *["False"] * unready]
    return [
        {"metadata": {"name": f"p{index}"}, "status": {"conditions": [{"type": "Ready", "status": value}]}}
        for index, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("spec", "sizes", "count", "expected"),
    [
        ({"minAvailable": 2}, [], 5, Expected(5, 2)),
        ({"minAvailable": "50%"}, [5], 5, Expected(5, 3)),
        ({"minAvailable": "30%"}, [3, 4], 6, Expected(7, 3)),
        ({"maxUnavailable": 1}, [5], 4, Expected(5, 4)),
        ({"maxUnavailable": "30%"}, [5], 5, Expected(5, 3)),
        ({"maxUnavailable": 9}, [5], 5, Expected(5, 0)),
    ],
)
def test_expectation(spec: Obj, sizes: list[int], count: int, expected: Expected) -> None:
    assert expectation({"spec": spec}, pods(count), sizes) == expected


def test_which_budgets_need_sizes() -> None:
    assert not needs_sizes({"spec": {"minAvailable": 1}})
    assert needs_sizes({"spec": {"minAvailable": "1%"}})
    assert needs_sizes({"spec": {"maxUnavailable": 0}})


def test_granted_evictions_are_not_granted_twice() -> None:
    budget: Obj = {"spec": {"minAvailable": 2}, "status": {"disruptedPods": {"p0": format_time(NOW - 1)}}}
    status = budget_status(budget, pods(3), expected=Expected(3, 2), now=NOW)
    assert (status["currentHealthy"], status["disruptionsAllowed"]) == (2, 0)
    later = budget_status(budget, pods(3), expected=Expected(3, 2), now=NOW + 200)
    assert (later["currentHealthy"], later["disruptionsAllowed"], later["disruptedPods"]) == (3, 1, {"p0": None})


def test_nothing_expected_allows_nothing() -> None:
    status = budget_status({"spec": {"minAvailable": 0}}, [], expected=Expected(0, 0), now=NOW)
    assert status["disruptionsAllowed"] == 0
