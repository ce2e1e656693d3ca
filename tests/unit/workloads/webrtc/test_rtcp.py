"""RTCP: what is written is read again, by this code and by other people's; garbage is harmless."""

import struct

import pytest
from aiortc.rtp import RtcpPacket, RtcpPsfbPacket, RtcpRrPacket, RtcpRtpfbPacket, RtcpSrPacket, pack_remb_fci
from hypothesis import given
from hypothesis import strategies as st

from workloads.webrtc import rtcp
from workloads.webrtc.wide import Arrivals


def test_a_sender_report_relates_the_clocks() -> None:
    wall = 1_800_000_000.25
    compound = rtcp.sender_report(7, wall=wall, timestamp=(5 << 32) + 99, packets=3, octets=1 << 33, name=b"haat")
    report = RtcpPacket.parse(compound)[0]
    assert isinstance(report, RtcpSrPacket)
    assert report.ssrc == 7
    assert report.sender_info.rtp_timestamp == 99
    seconds = report.sender_info.ntp_timestamp / (1 << 32) - 2_208_988_800
    assert seconds == pytest.approx(wall, abs=1e-3)
    assert rtcp.parse(compound).sender == (7, rtcp.ntp(wall), 99)


@given(st.integers(0, 20))
def test_names_of_any_length_are_padded(size: int) -> None:
    assert RtcpPacket.parse(rtcp.description(1, b"x" * size))[0].chunks[0].items[0][1] == b"x" * size


def test_a_receiver_report() -> None:
    report = rtcp.Report(9, 0.25, -3, 70_000, 12, 34, 56)
    packet = RtcpPacket.parse(rtcp.receiver_report(1, [report]))[0]
    assert isinstance(packet, RtcpRrPacket)
    assert (packet.reports[0].ssrc, packet.reports[0].fraction_lost, packet.reports[0].packets_lost) == (9, 64, -3)
    assert rtcp.parse(rtcp.receiver_report(1, [report])).reports == [report]


@given(st.sets(st.integers(0, 300), min_size=1, max_size=60), st.sampled_from([0, 65_400]))
def test_nacks(offsets: set[int], base: int) -> None:
    numbers = [(base + offset) & 0xFFFF for offset in sorted(offsets)]
    packet = rtcp.nack(1, 2, numbers)
    theirs = RtcpPacket.parse(packet)[0]
    assert isinstance(theirs, RtcpRtpfbPacket)
    assert [number & 0xFFFF for number in theirs.lost] == numbers
    assert rtcp.parse(packet).nacks == [(2, numbers)]


def test_key_frames_and_bandwidth() -> None:
    full = bytes(RtcpPsfbPacket(fmt=4, ssrc=1, media_ssrc=0, fci=struct.pack(">II", 5, 1 << 24)))
    remb = bytes(RtcpPsfbPacket(fmt=15, ssrc=1, media_ssrc=0, fci=pack_remb_fci(2_500_000, [5])))
    received = rtcp.parse(rtcp.picture_loss(1, 4) + full + remb + rtcp.goodbye(1, 2))
    assert received.key_frame_wanted == {4, 5}
    assert received.bandwidth == pytest.approx(2_500_000, rel=0.01)
    assert received.bye


@given(st.binary(max_size=200))
def test_garbage_is_harmless(data: bytes) -> None:
    rtcp.parse(data)
    rtcp.parse_feedback(data)


@given(st.integers(200, 207), st.integers(0, 31), st.binary(max_size=80))
def test_garbage_bodies_are_harmless(kind: int, count: int, body: bytes) -> None:
    body = body[: len(body) // 4 * 4]
    rtcp.parse(struct.pack(">BBH", 0x80 | count, kind, len(body) // 4) + body)


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 0.4)), min_size=1, max_size=120),
    st.sampled_from([0, 100, 65_480]),
)
def test_feedback_tells_what_came_and_when(packets: list[tuple[bool, float]], base: int) -> None:
    arrivals, now, expected = Arrivals(), 1000.0, {}
    arrivals.note(base, now)
    expected[base] = now
    for offset, (came, pause) in enumerate(packets, 1):
        now += pause
        if came:
            arrivals.note((base + offset) & 0xFFFF, now)
            expected[base + offset] = now
    (feedback,) = rtcp.parse(arrivals.feedback(1, 2) or b"").feedback
    assert feedback.base == base
    found = {base + at: time for at, time in enumerate(feedback.arrivals) if time is not None}
    assert found.keys() == expected.keys()
    start = expected[base] - found[base]
    for number, time in found.items():
        assert expected[number] - time == pytest.approx(start, abs=0.001)
    assert arrivals.feedback(1, 2) is None


@pytest.mark.parametrize(
    ("chunks", "deltas", "symbols"),
    [
        pytest.param("2003", "040404", [0.001, 0.002, 0.003], id="run of small deltas"),
        pytest.param("a000", "04", [0.001, None, None], id="one bit each"),
        pytest.param("d200", "04fffc", [0.001, None, 0.0], id="two bits each, one delta negative"),
        pytest.param("0003", "", [None, None, None], id="all lost"),
    ],
)
def test_feedback_chunks(chunks: str, deltas: str, symbols: list[float | None]) -> None:
    body = struct.pack(">HHI", 10, 3, 0) + bytes.fromhex(chunks + deltas)
    feedback = rtcp.parse_feedback(body)
    assert feedback is not None
    assert feedback.arrivals == [None if item is None else pytest.approx(item) for item in symbols]
