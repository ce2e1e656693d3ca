"""AMF0: what is written is read again, and no bytes make the reader do anything but refuse."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.common import amf

scalars = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=50)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(values, max_size=5))
def test_values_survive_a_round_trip(items: list[Any]) -> None:
    assert amf.decode(amf.encode(*items)) == items


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(amf.AmfError):
        amf.decode(data)


def test_long_strings_use_the_long_form() -> None:
    text = "x" * 70_000
    assert amf.encode(text)[0] == 0x0C
    assert amf.decode(amf.encode(text)) == [text]


def test_an_ecma_array_with_a_wrong_count_is_read_to_its_end_marker() -> None:
    data = b"\x08\x00\x00\x00\x63" + b"\x00\x05width\x00" + amf.encode(1280.0)[1:] + b"\x00\x00\x09"
    assert amf.decode(data) == [{"width": 1280.0}]


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a\x00\x00\x00\x01" * 40,
        b"\x02\x00\x09short",
        b"\x03\x00\x01a",
        b"\x42",
        b"\x0a\xff\xff\xff\xff" + b"\x05" * 5000,
    ],
    ids=["too deep", "truncated string", "unfinished object", "unknown marker", "too many values"],
)
def test_malformed_values_are_refused(data: bytes) -> None:
    with pytest.raises(amf.AmfError):
        amf.decode(data)
