"""Quantities and what fits on the node."""

from typing import Any

import pytest

from hack.devcluster.node.quantity import QuantityError, divide, parse_quantity
from hack.devcluster.node.scheduler import unschedulable_reason


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


def pod(cpu: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {}, "spec": {"containers": [{"resources": {"requests": {"cpu": cpu}}}], **spec}, "status": {}}


@pytest.mark.parametrize(
    ("wanted", "bound", "reason"),
    [
        (pod("1"), [pod("1")], ""),
        (pod("1"), [pod("1500m")], "Insufficient cpu"),
        (pod("3"), [], "Insufficient cpu"),
        (pod("many"), [], "is not a quantity"),
        (pod("1", nodeSelector={"disk": "ssd"}), [], "node affinity/selector"),
        (pod("1", nodeSelector={"os": "linux"}), [], ""),
    ],
)
def test_unschedulable(wanted: dict[str, Any], bound: list[dict[str, Any]], reason: str) -> None:
    found = unschedulable_reason(wanted, labels={"os": "linux"}, capacity={"cpu": "2"}, bound=bound)
    assert (found == "") if not reason else (reason in found)
