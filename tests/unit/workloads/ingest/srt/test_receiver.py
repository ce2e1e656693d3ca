"""Packets in any order, with losses, doubles and wraps, leave in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.ingest.srt.packet import MAX_SEQUENCE, after, distance, pack_ranges, ranges
from workloads.ingest.srt.receiver import WINDOW_PACKETS, Receiver

FIRSTS = st.sampled_from([0, 1, 5_000, MAX_SEQUENCE - 3, MAX_SEQUENCE])


def body(index: int) -> bytes:
    return b"%d" % index


@given(first=FIRSTS, order=st.permutations(range(12)), doubled=st.lists(st.integers(0, 11), max_size=5))
def test_all_that_arrives_in_time_leaves_once_and_in_order(first: int, order: list[int], doubled: list[int]) -> None:
    receiver = Receiver(first, latency_seconds=1.0)
    out: list[bytes] = []
    for index in [*order, *doubled]:
        receiver.take(after(first, index), body(index), 0.0)
        out += receiver.deliver(0.0)
    assert out == [body(index) for index in range(12)]
    assert receiver.acknowledged == after(first, 12)
    assert receiver.duplicates == len(doubled)
    assert receiver.overdue(9.0, 0.0) == []


@given(first=FIRSTS, lost=st.sets(st.integers(0, 10), max_size=8))
def test_what_stays_away_is_asked_for_and_then_given_up(first: int, lost: set[int]) -> None:
    receiver = Receiver(first, latency_seconds=0.1)
    out: list[bytes] = []
    for index in range(12):
        if index not in lost:
            receiver.take(after(first, index), body(index), 0.0)
            out += receiver.deliver(0.0)
    asked = [after(gap[0], step) for gap in receiver.overdue(0.0, 0.0) for step in range(distance(gap[1], gap[0]) + 1)]
    assert asked == [after(first, index) for index in sorted(lost)]
    out += receiver.deliver(0.11)
    assert out == [body(index) for index in range(12) if index not in lost]
    assert receiver.lost == len(lost)
    assert receiver.acknowledged == after(first, 12)


def test_gaps_are_told_when_they_open() -> None:
    receiver = Receiver(10, latency_seconds=1.0)
    assert receiver.take(10, b"", 0.0) == []
    assert receiver.take(14, b"", 0.0) == [(11, 13)]
    assert receiver.take(12, b"", 0.0) == []
    assert receiver.overdue(0.1, 0.05) == [(11, 11), (13, 13)]
    assert receiver.overdue(0.12, 0.05) == []
    assert receiver.overdue(0.2, 0.05) == [(11, 11), (13, 13)]


def test_a_leap_beyond_the_window_costs_nothing() -> None:
    receiver = Receiver(0, latency_seconds=1.0)
    assert receiver.take(WINDOW_PACKETS, b"x", 0.0) == []
    assert receiver.take(MAX_SEQUENCE // 2, b"x", 0.0) == []
    assert receiver.deliver(10.0) == []
    assert receiver.space == WINDOW_PACKETS


def test_the_peer_may_take_packets_back() -> None:
    receiver = Receiver(0, latency_seconds=100.0)
    receiver.take(3, b"3", 0.0)
    receiver.forget(0, 2)
    assert receiver.deliver(0.0) == [b"3"]
    assert receiver.lost == 3


@given(st.sets(st.integers(0, 300), max_size=60))
def test_ranges_hold_every_number_once(numbers: set[int]) -> None:
    found = ranges(sorted(numbers))
    assert [number for first, last in found for number in range(first, last + 1)] == sorted(numbers)
    assert len(pack_ranges(found)) % 4 == 0


@pytest.mark.parametrize(
    ("later", "earlier", "expected"),
    [(5, 3, 2), (3, 5, -2), (0, MAX_SEQUENCE, 1), (MAX_SEQUENCE, 0, -1), (7, 7, 0)],
)
def test_distance_knows_the_wrap(later: int, earlier: int, expected: int) -> None:
    assert distance(later, earlier) == expected
