"""Who gets the units of a batch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.commerce.allocate import Request, Stock, allocate


def request(order: str, user: str = "ann", sku: str = "A", qty: int = 1) -> Request:
    return Request(order, user, sku, qty, reply_to="pod", idempotency_key=order, epoch=1)


@pytest.mark.parametrize(
    ("requests", "stock", "units", "expected"),
    [
        pytest.param([request("1")], {"A": Stock(1, 1)}, {}, ["granted"], id="one unit, one buyer"),
        pytest.param(
            [request("1"), request("2", "bob")], {"A": Stock(1, 1)}, {}, ["granted", "sold_out"], id="last unit"
        ),
        pytest.param([request("1"), request("2")], {"A": Stock(9, 1)}, {}, ["granted", "limit"], id="limit in a batch"),
        pytest.param([request("1")], {"A": Stock(9, 1)}, {("ann", "A"): 1}, ["limit"], id="limit from before"),
        pytest.param([request("1"), request("1")], {"A": Stock(9, 9)}, {}, ["granted", "known"], id="same key twice"),
        pytest.param([request("1", sku="B")], {"A": Stock(9, 9)}, {}, ["unknown_sku"], id="unknown article"),
        pytest.param(
            [request("1", qty=3), request("2", "bob", qty=1)],
            {"A": Stock(2, 5)},
            {},
            ["sold_out", "granted"],
            id="a wish too large leaves the rest to others",
        ),
    ],
)
def test_outcomes(requests: list[Request], stock: dict[str, Stock], units: dict, expected: list[str]) -> None:
    assert allocate(requests, stock, units) == expected


def test_a_closed_sale_grants_nothing_new_but_still_knows_its_orders() -> None:
    requests = [request("1"), request("2", "bob")]
    assert allocate(requests, {"A": Stock(9, 9)}, {}, frozenset({"1"}), accepting=False) == ["known", "closed"]


wishes = st.lists(
    st.builds(
        request,
        st.integers(0, 30).map(str),
        st.sampled_from(["ann", "bob", "eve"]),
        st.sampled_from(["A", "B"]),
        st.integers(1, 4),
    ),
    max_size=60,
)


@given(wishes, st.integers(0, 20), st.integers(0, 20), st.integers(1, 5))
def test_never_more_than_stock_nor_than_the_limit(wanted: list[Request], a: int, b: int, limit: int) -> None:
    stock = {"A": Stock(a, limit), "B": Stock(b, limit)}
    outcomes = allocate(wanted, stock, {})
    granted = [item for item, outcome in zip(wanted, outcomes, strict=True) if outcome == "granted"]
    for sku, item in stock.items():
        assert sum(r.qty for r in granted if r.sku == sku) <= item.free
        for user in ("ann", "bob", "eve"):
            assert sum(r.qty for r in granted if r.sku == sku and r.user == user) <= limit
    assert len({r.order_id for r in granted}) == len(granted)
