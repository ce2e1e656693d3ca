"""Sequence parameter sets: what strangers send is read or refused (real ones are read in the contract suite)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.transcoder import h264
from workloads.transcoder.h264 import Picture, SpsError

SPS_720P25 = bytes.fromhex("6764001facd9405005bb016a02020280000003008000001907 8c18cb".replace(" ", ""))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(SpsError):
        h264.parse_sps(data)
    with contextlib.suppress(SpsError):
        h264.picture_from_configuration(data)


def test_a_known_parameter_set() -> None:
    assert h264.parse_sps(SPS_720P25) == Picture(1280, 720, 25.0)


@pytest.mark.parametrize("record", [b"", b"\x01\x64\x00\x1f\xff\xe1\xff\xff\x67", b"\x02" + bytes(20)])
def test_broken_configurations_are_refused(record: bytes) -> None:
    with pytest.raises(SpsError):
        h264.picture_from_configuration(record)
