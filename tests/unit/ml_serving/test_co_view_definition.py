"""The co-view definition in memory: tables for its rules, properties for its invariants."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_serving.features.definitions import DAY_MS, CoView, CoViewTable, Outcome, View, day_of

STREAM = "shop/launch"
MINUTE = 60_000
NOON = 20_000 * DAY_MS + DAY_MS // 2
TODAY = day_of(NOON)


def replay(*looks: tuple[str, str, int], definition: CoView | None = None) -> tuple[CoViewTable, list[Outcome]]:
    """A table after looks of (user, sku, minutes after noon), each an event of its own."""
    table, ids = CoViewTable(definition=definition or CoView()), count()
    outcomes = [
        table.apply(View(id=str(next(ids)), stream=STREAM, user=user, sku=sku, ts_ms=NOON + minute * MINUTE))
        for user, sku, minute in looks
    ]
    return table, outcomes


def pairs(table: CoViewTable, sku: str, day: int = TODAY) -> dict[str, int]:
    return dict(table.pairs.get((STREAM, day, sku), {}))


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        pytest.param([("u", "A", 0), ("u", "B", 5)], {"B": 1}, id="two products of one viewer"),
        pytest.param([("u", "A", 0), ("v", "B", 5)], {}, id="two viewers make no pair"),
        pytest.param([("u", "A", 0), ("u", "B", 30)], {"B": 1}, id="the window's end belongs to it"),
        pytest.param([("u", "A", 0), ("u", "B", 31)], {}, id="beyond the window"),
        pytest.param(
            [("u", "A", 0), ("u", "B", 1), ("u", "A", 2), ("u", "B", 3)], {"B": 1}, id="reloading counts once"
        ),
        pytest.param(
            [("u", "A", 0), ("u", "A", 20), ("u", "B", 40)], {"B": 1}, id="a second look keeps the window open"
        ),
        pytest.param(
            [("u", "A", 0), ("u", "B", 1), ("u", "A", 40), ("u", "B", 41)], {"B": 2}, id="a later visit counts"
        ),
        pytest.param(
            [("u", "A", 0), ("u", "B", 1), ("v", "B", 0), ("v", "A", 1)], {"B": 2}, id="the order is no matter"
        ),
        pytest.param([("u", "B", 5), ("u", "A", 0)], {"B": 1}, id="a late event still pairs"),
    ],
)
def test_pairs_of_a(looks: list[tuple[str, str, int]], expected: dict[str, int]) -> None:
    table, _ = replay(*looks)
    assert pairs(table, "A") == expected


def test_an_event_counts_once_by_its_id() -> None:
    table = CoViewTable()
    view = View(id="1", stream=STREAM, user="u", sku="A", ts_ms=NOON)
    assert [table.apply(view), table.apply(view)] == [Outcome.COUNTED, Outcome.DUPLICATE]
    assert table.views[STREAM, TODAY] == {"A": 1}


def test_a_pair_counts_on_the_day_of_its_second_look() -> None:
    table, _ = replay(("u", "A", 719), ("u", "B", 721))
    assert pairs(table, "A") == {}
    assert pairs(table, "A", TODAY + 1) == {"B": 1}


def test_only_the_latest_products_of_a_viewer_pair() -> None:
    table, _ = replay(("u", "A", 0), ("u", "B", 1), ("u", "C", 2), definition=CoView(window_products=1))
    assert pairs(table, "C") == {"B": 1}
    assert pairs(table, "A") == {"B": 1}


def test_names_beyond_the_limit_are_refused() -> None:
    table, outcomes = replay(("u", "A", 0), ("u", "B", 1), ("u", "C", 2), definition=CoView(max_products=2))
    assert outcomes[-1] is Outcome.FULL
    assert table.views[STREAM, TODAY] == {"A": 1, "B": 1}


def test_a_full_list_of_neighbours_takes_neither_direction() -> None:
    table, _ = replay(("u", "A", 0), ("u", "B", 1), ("u", "C", 2), definition=CoView(max_neighbours=1))
    assert pairs(table, "A") == {"B": 1}
    assert pairs(table, "C") == {}


def test_an_answer_reads_the_last_days_only() -> None:
    table, _ = replay(("u", "A", 0), ("u", "B", 1))
    keep = table.definition.keep_days
    assert set(table.days(STREAM, "A", today=TODAY + keep - 1)) == {TODAY}
    assert table.days(STREAM, "A", today=TODAY + keep) == {}
    assert table.days("other/stream", "A", today=TODAY) == {}


LOOKS = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from("ABCDE"), st.integers(min_value=0, max_value=3000)), max_size=60
)


@given(LOOKS)
def test_pairs_are_symmetric_and_never_with_themselves(looks: list[tuple[str, str, int]]) -> None:
    table, _ = replay(*looks, definition=CoView(max_neighbours=2, max_products=4))
    for (stream, day, sku), others in table.pairs.items():
        assert sku not in others
        for other, number in others.items():
            assert table.pairs[stream, day, other][sku] == number


@given(LOOKS, st.integers(min_value=1, max_value=3))
def test_repeating_a_delivery_changes_nothing(looks: list[tuple[str, str, int]], times: int) -> None:
    once, _ = replay(*looks)
    again = CoViewTable()
    for number, (user, sku, minute) in enumerate(looks):
        view = View(id=str(number), stream=STREAM, user=user, sku=sku, ts_ms=NOON + minute * MINUTE)
        for _ in range(times):
            again.apply(view)
    assert (again.views, again.pairs) == (once.views, once.pairs)
