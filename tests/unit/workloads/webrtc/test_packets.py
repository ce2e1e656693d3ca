"""Frames cut into packets and put together again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.webrtc.assemble import H264Assembler, Picture, Vp8Assembler, strip_descriptor
from workloads.webrtc.packets import (
    HEADER_BYTES,
    MAX_PACKET_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_RUN_PACKETS,
    Frame,
    RtpHeader,
    h264_payloads,
    parse_header,
    split_units,
)

SPS, PPS = b"\x67\x64\x00\x1f" + b"s" * 20, b"\x68" + b"p" * 6


def header(number: int, *, stamp: int = 1, marker: bool = False) -> RtpHeader:
    return RtpHeader(96, marker, number, stamp, 1, 12, 12, {})


def together(assembler: H264Assembler, payloads: list[bytes], stamp: int = 1) -> list[Picture]:
    found: list[Picture] = []
    for number, payload in enumerate(payloads):
        last = number == len(payloads) - 1
        found += assembler.push(header(number, stamp=stamp, marker=last), payload, after_loss=False)
    return found


@given(st.lists(st.integers(1, 6000), min_size=1, max_size=4), st.booleans())
def test_units_survive_the_way(sizes: list[int], key: bool) -> None:
    units = [bytes((0x65 if key else 0x41,)) + bytes((index + 1,)) * size for index, size in enumerate(sizes)]
    payloads = h264_payloads([SPS, PPS, *units] if key else units)
    assert all(len(payload) <= MAX_PAYLOAD_BYTES for payload in payloads)
    assembler = H264Assembler()
    assembler.waiting = False
    (picture,) = together(assembler, payloads)
    assert picture.units == tuple(units)
    assert picture.key is key
    assert picture.sets == ((SPS, PPS) if key else ())


def test_a_key_frame_without_parameter_sets_gets_them() -> None:
    payloads = h264_payloads([b"\x65" + bytes(3000)], [SPS, PPS])
    assert payloads[0][0] & 0x1F == 24
    (picture,) = together(H264Assembler(), payloads)
    assert picture.sets == (SPS, PPS)
    assert h264_payloads([b"\x41" + bytes(10)], [SPS, PPS]) == [b"\x41" + bytes(10)]


def test_supplements_and_delimiters_are_left_out() -> None:
    assert h264_payloads([b"\x09\xf0", b"\x06\x05x", b"\x41abc"]) == [b"\x41abc"]


def test_pieces_of_a_unit_are_of_one_size_but_the_last() -> None:
    frame = Frame(0, False, tuple(h264_payloads([b"\x41" + bytes(50_000)])))
    sizes = [len(piece) for piece in frame.pieces]
    assert len(set(sizes[:-1])) == 1
    assert sizes[-1] <= sizes[0]
    assert len(frame.runs(16)) == 1


@given(st.lists(st.integers(1, MAX_PAYLOAD_BYTES), min_size=1, max_size=150), st.sampled_from([10, 16]))
def test_runs_hold_every_packet_once_and_fit_the_network(sizes: list[int], tag: int) -> None:
    pieces = tuple(bytes((index % 251,)) * size for index, size in enumerate(sizes))
    frame = Frame(0, True, pieces)
    found = []
    markers = 0
    for run in frame.runs(tag):
        assert len(run.packets) <= MAX_RUN_PACKETS
        assert run.segment <= MAX_PACKET_BYTES
        for index, (offset, size, bits) in enumerate(run.packets):
            assert offset == index * run.segment, "the kernel cuts at multiples of the segment"
            found.append(bytes(run.data[offset + HEADER_BYTES : offset + size]))
            markers += bool(bits & 0x80)
        assert len(run.data) == run.packets[-1][0] + run.packets[-1][1] + tag
    assert tuple(found) == pieces
    assert markers == 1
    assert frame.first_bits(len(pieces) - 1) & 0x80


@given(st.binary(max_size=60))
def test_units_of_garbage(sample: bytes) -> None:
    assert sum(len(unit) + 4 for unit in split_units(sample)) <= len(sample)


def test_a_lost_piece_drops_the_picture_and_all_that_needs_it() -> None:
    assembler = H264Assembler()
    key = h264_payloads([SPS, PPS, b"\x65" + bytes(5000)])
    assert len(together(assembler, key)) == 1
    inter = h264_payloads([b"\x41" + bytes(5000)])
    found = assembler.push(header(0, stamp=2), inter[0], after_loss=False)
    found += assembler.push(header(2, stamp=2), inter[2], after_loss=True)
    found += assembler.push(header(4, stamp=2, marker=True), inter[-1], after_loss=False)
    assert found == []
    assert assembler.waiting
    assert together(assembler, h264_payloads([b"\x41abc"]), stamp=3) == []
    assert len(together(assembler, key, stamp=4)) == 1
    assert not assembler.waiting


def test_a_key_frame_right_after_a_loss_is_good_only_from_its_beginning() -> None:
    key = h264_payloads([SPS, PPS, b"\x65" + bytes(100)])
    assembler = H264Assembler()
    assert assembler.push(header(0), key[0], after_loss=True) == []
    assert len(assembler.push(header(1, marker=True), key[1], after_loss=False)) == 1
    assembler = H264Assembler()
    assert assembler.push(header(1, marker=True), key[1], after_loss=True) == []


@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans(), st.booleans(), st.integers(0, 2)), max_size=12))
def test_garbage_payloads_are_harmless(packets: list[tuple[bytes, bool, bool, int]]) -> None:
    for assembler in (H264Assembler(), Vp8Assembler()):
        for number, (payload, marker, lost, stamp) in enumerate(packets):
            assembler.push(header(number, stamp=stamp, marker=marker), payload, after_loss=lost)


def test_vp8_pictures() -> None:
    assembler = Vp8Assembler()
    key, inter = b"\x10" + bytes(30), b"\x11" + bytes(20)
    assert assembler.push(header(0, marker=True), b"\x10" + inter, after_loss=False) == []
    assert assembler.push(header(1, stamp=2), b"\x90\x80\x05" + key[:10], after_loss=False) == []
    (picture,) = assembler.push(header(2, stamp=2, marker=True), b"\x00" + key[10:], after_loss=False)
    assert (picture.key, picture.units) == (True, (key,))
    (picture,) = assembler.push(header(3, stamp=3, marker=True), b"\x10" + inter, after_loss=False)
    assert (picture.key, picture.units) == (False, (inter,))


@pytest.mark.parametrize(
    ("payload", "body"),
    [
        (b"\x10ab", b"ab"),
        (b"\x90\x80\x01ab", b"ab"),
        (b"\x90\x80\x81\x02ab", b"ab"),
        (b"\x90\xe0\x81\x02\x03\x04ab", b"ab"),
        (b"\x90", b""),
        (b"", b""),
    ],
)
def test_vp8_descriptors(payload: bytes, body: bytes) -> None:
    assert strip_descriptor(payload)[0] == body


@given(st.binary(max_size=80))
def test_headers_of_garbage(data: bytes) -> None:
    found = parse_header(data)
    assert found is None or 12 <= found.start <= found.end <= len(data)
