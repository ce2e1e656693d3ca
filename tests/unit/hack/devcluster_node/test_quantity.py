"""Quantities."""

import pytest

from hack.devcluster.node.quantity import QuantityError, divide, parse_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("250m", 0.25),
        ("1", 1),
        ("1.5Gi", 1.5 * 2**30),
        ("24684092Ki", 24684092 * 1024),
        ("2k", 2000),
        ("1e3", 1000),
        ("1E", 1e18),
    ],
)
def test_parse(text: str, value: float) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize("text", ["", "x", "1Kb", "Ki", "1 Gi"])
def test_malformed(text: str) -> None:
    with pytest.raises(QuantityError):
        parse_quantity(text)


def test_divide_rounds_up() -> None:
    assert divide("250m", "1") == 1
    assert divide("1Gi", "1Mi") == 1024
    assert divide("0.3", "100m") == 3
