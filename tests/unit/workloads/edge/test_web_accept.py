"""Which clients get the page of the single-page application."""

import pytest

from workloads.edge.serve.web import wants_page


@pytest.mark.parametrize(
    ("accept", "expected"),
    [("", True), ("*/*", True), ("text/html,application/xml", True), ("application/json", False), ("image/*", False)],
)
def test_wants_page(accept: str, expected: bool) -> None:
    assert wants_page(accept) is expected
