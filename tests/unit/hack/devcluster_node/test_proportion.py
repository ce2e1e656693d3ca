"""Sizes while a roll-out is under way and the Deployment is scaled."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.devcluster.controllers import rollout
from hack.devcluster.controllers.proportion import is_scaling_event, next_sizes, scaled_sizes, size_annotations
from hack.devcluster.objects import Obj


def deployment(replicas: int, surge: Any = 3, unavailable: Any = 2, **spec: Any) -> Obj:
    limits = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"metadata": {"name": "d"}, "spec": {"replicas": replicas, "strategy": {"rollingUpdate": limits}, **spec}}


def replica_set(name: str, size: int, sized_for: Obj, made: int = 0, available: int | None = None) -> Obj:
    stamp = f"2026-01-01T00:00:{made:02d}Z"
    notes = {**size_annotations(sized_for), rollout.REVISION: str(made)}
    return {
        "metadata": {"name": name, "annotations": notes, "creationTimestamp": stamp},
        "spec": {"replicas": size},
        "status": {"availableReplicas": size if available is None else available},
    }


def test_the_documented_example() -> None:
    """kubernetes.io/docs, Deployments, proportional scaling: ten replicas grow to fifteen in mid roll-out."""
    before, after = deployment(10), deployment(15)
    old, new = replica_set("old", 8, before), replica_set("new", 5, before, made=1, available=0)
    assert is_scaling_event(after, [old, new])
    assert not is_scaling_event(before, [old, new])
    assert scaled_sizes(after, new, [old, new]) == {"old": 11, "new": 7}


@pytest.mark.parametrize(
    ("sizes", "wanted", "expected"),
    [
        ((10, 0), 4, {"old": 4}),
        ((0, 0), 4, {"new": 4}),
        ((5, 5), 0, {"old": 0, "new": 0}),
    ],
)
def test_ends(sizes: tuple[int, int], wanted: int, expected: dict[str, int]) -> None:
    before = deployment(10)
    old, new = replica_set("old", sizes[0], before), replica_set("new", sizes[1], before, made=1, available=0)
    assert scaled_sizes(deployment(wanted), new, [old, new]) == expected


def test_a_paused_roll_out_stands_still() -> None:
    now = deployment(10, paused=True)
    old, new = replica_set("old", 8, now), replica_set("new", 5, now, made=1, available=0)
    assert next_sizes(now, new, [old, new], pods_left=8) == {"old": 8, "new": 5}
    assert next_sizes(deployment(15, paused=True), new, [old, new], pods_left=8) == {"old": 11, "new": 7}


def test_a_finished_new_one_takes_all() -> None:
    now = deployment(5)
    old, new = replica_set("old", 2, now), replica_set("new", 5, now, made=1)
    assert scaled_sizes(now, new, [old, new]) == {"old": 0}


@given(
    parts=st.lists(st.integers(1, 30), min_size=2, max_size=4),
    wanted=st.integers(0, 60),
    surge=st.integers(0, 10),
)
def test_the_sum_is_the_new_size_with_its_surge(parts: list[int], wanted: int, surge: int) -> None:
    before = deployment(max(1, sum(parts) - surge), surge=surge, unavailable=1)
    sets = [replica_set(f"s{index}", part, before, made=index, available=0) for index, part in enumerate(parts)]
    after = deployment(wanted, surge=surge, unavailable=1)
    sizes = scaled_sizes(after, sets[-1], sets)
    total, goal = sum(sizes.values()), wanted + surge if wanted else 0
    # What rounding left over is the largest one's; more than it has cannot be taken from it.
    assert total == goal or (total > goal and 0 in sizes.values())
    assert min(sizes.values()) >= 0
