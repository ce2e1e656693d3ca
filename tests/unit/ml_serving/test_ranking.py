"""Scores and order: hand-computed cases, ties, decay."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_serving.apps.ranking import Reason, Rule, affinity, decayed, related
from ml_serving.features.definitions import DayCounts

TODAY = 20_000
COUNTS = st.dictionaries(st.sampled_from("ABCDEF"), st.integers(min_value=1, max_value=50), max_size=6)


def day(views: dict[str, int], pairs: dict[str, int]) -> DayCounts:
    return DayCounts(views=views, pairs=pairs)


def names(ranked: list) -> list[str]:
    return [each.sku for each in ranked]


@pytest.mark.parametrize(
    ("pairs", "one", "other", "shrinkage", "expected"),
    [
        pytest.param(2, 4, 4, 0, 0.5, id="plain cosine"),
        pytest.param(2, 4, 4, 2, 0.25, id="shrunk by half"),
        pytest.param(1, 1, 1, 1, 0.5, id="a single co-view is weak evidence"),
        pytest.param(9, 1, 1, 0, 1.0, id="never above one"),
        pytest.param(0, 4, 4, 1, 0.0, id="never together"),
        pytest.param(1, 0, 4, 1, 0.0, id="never seen"),
    ],
)
def test_affinity(pairs: float, one: float, other: float, shrinkage: float, expected: float) -> None:
    assert affinity(pairs, one, other, shrinkage=shrinkage) == pytest.approx(expected)


@given(*[st.integers(min_value=1, max_value=1000)] * 3)
def test_affinity_is_symmetric_and_bounded(pairs: int, one: int, other: int) -> None:
    there, back = affinity(pairs, one, other, shrinkage=1), affinity(pairs, other, one, shrinkage=1)
    assert there == back
    assert 0 < there <= 1


@pytest.mark.parametrize(("age", "weight"), [(0, 1.0), (3, 0.5), (6, 0.25), (-1, 1.0)])
def test_a_day_weighs_half_per_half_life(age: int, weight: float) -> None:
    assert decayed({TODAY - age: {"A": 8}}, today=TODAY, half_life_days=3) == {"A": 8 * weight}


def test_days_add_up() -> None:
    assert decayed({TODAY: {"A": 1}, TODAY - 3: {"A": 2, "B": 4}}, today=TODAY, half_life_days=3) == {"A": 2, "B": 2}


def test_hand_computed_answer() -> None:
    days = {TODAY: day({"A": 4, "B": 4, "C": 100, "D": 3}, {"B": 2, "C": 2})}
    ranked = related("A", days, today=TODAY, limit=4, rule=Rule(shrinkage=1))
    assert names(ranked) == ["B", "C", "D"]
    assert ranked[0].score == pytest.approx(2 / 4 * 2 / 3)
    assert ranked[1].score == pytest.approx(2 / math.sqrt(400) * 2 / 3)
    assert [each.reason for each in ranked] == [Reason.CO_VIEWED, Reason.CO_VIEWED, Reason.POPULAR]


def test_equal_scores_go_by_popularity_then_by_name() -> None:
    days = {TODAY: day({"A": 4, "C": 4, "B": 4, "E": 1}, {"C": 1, "B": 1, "E": 1})}
    assert names(related("A", days, today=TODAY, limit=9, rule=Rule())) == ["E", "B", "C"]
    unpaired = {TODAY: day(dict(days[TODAY].views), {})}
    assert names(related("", unpaired, today=TODAY, limit=9, rule=Rule())) == ["A", "B", "C", "E"]


def test_what_was_together_lately_comes_first() -> None:
    days = {
        TODAY - 6: day({"A": 5, "B": 5}, {"B": 5}),
        TODAY: day({"A": 3, "C": 3}, {"C": 3}),
    }
    assert names(related("A", days, today=TODAY, limit=2, rule=Rule())) == ["C", "B"]
    assert names(related("A", days, today=TODAY, limit=2, rule=Rule(half_life_days=1000))) == ["B", "C"]


@pytest.mark.parametrize(
    ("days", "sku"),
    [
        pytest.param({}, "A", id="a stream without events"),
        pytest.param({}, "", id="nothing looked at and nothing known"),
        pytest.param({TODAY: day({"A": 3}, {})}, "A", id="only the product itself is known"),
    ],
)
def test_nothing_known_gives_an_empty_answer(days: dict[int, DayCounts], sku: str) -> None:
    assert related(sku, days, today=TODAY, limit=4, rule=Rule()) == []


def test_an_unknown_product_gets_the_popular_ones_unless_switched_off() -> None:
    days = {TODAY: day({"A": 1, "B": 3}, {})}
    assert names(related("Z", days, today=TODAY, limit=4, rule=Rule())) == ["B", "A"]
    assert related("Z", days, today=TODAY, limit=4, rule=Rule(popular=False)) == []


@given(COUNTS, COUNTS, st.sampled_from(["A", "F", "", "Z"]), st.integers(min_value=1, max_value=8))
def test_an_answer_has_no_double_no_self_and_is_ordered(
    views: dict[str, int], pairs: dict[str, int], sku: str, limit: int
) -> None:
    ranked = related(sku, {TODAY: day(views, pairs)}, today=TODAY, limit=limit, rule=Rule())
    assert len(ranked) <= limit
    assert len(set(names(ranked))) == len(ranked)
    assert sku not in names(ranked)
    keys = [(each.reason is Reason.POPULAR, -each.score) for each in ranked]
    assert keys == sorted(keys)
