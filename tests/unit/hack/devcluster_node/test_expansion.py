"""`$(NAME)` expansion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.devcluster.node.expansion import expand

KNOWN = {"A": "1", "B_C": "two"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B_C)z", "x1ytwoz"),
        ("$(MISSING)", "$(MISSING)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A", "$A"),
        ("$(A", "$(A"),
        ("100$", "100$"),
    ],
)
def test_expand(text: str, wanted: str) -> None:
    assert expand(text, KNOWN) == wanted


@given(st.text(alphabet="ab (){}", max_size=30))
def test_text_without_dollar_is_left_alone(text: str) -> None:
    assert expand(text, KNOWN) == text
