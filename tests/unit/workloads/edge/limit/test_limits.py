"""Caps and the verdict about overload, as pure functions of time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.common.problem import Problem
from workloads.edge.limit.bandwidth import Bucket, cap_master
from workloads.edge.limit.overload import CALM_SECONDS, Limits, Overload
from workloads.edge.limit.sessions import count_elsewhere

MASTER = (
    b'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI="audio/media.m3u8"\n'
    b"#EXT-X-STREAM-INF:BANDWIDTH=3000000,AVERAGE-BANDWIDTH=100\n720p/media.m3u8\n"
    b'#EXT-X-STREAM-INF:AVERAGE-BANDWIDTH=9,BANDWIDTH=1000000,CODECS="a,b"\n480p/media.m3u8\n'
    b"#EXT-X-STREAM-INF:BANDWIDTH=500000\n360p/media.m3u8\n"
)


@pytest.mark.parametrize(
    ("cap", "left"),
    [(5_000_000, {b"720p", b"480p", b"360p"}), (1_000_000, {b"480p", b"360p"}), (600_000, {b"360p"}), (1, {b"360p"})],
)
def test_rungs_above_the_cap_leave_the_master(cap: int, left: set[bytes]) -> None:
    capped = cap_master(MASTER, cap)
    assert {name for name in (b"720p", b"480p", b"360p") if name in capped} == left
    assert capped.count(b"#EXT-X-STREAM-INF") == len(left)
    assert b'URI="audio/media.m3u8"' in capped
    assert cap_master(b"no playlist", 5) == b"no playlist"


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 500_000)), min_size=1, max_size=60))
def test_a_bucket_never_gives_more_than_its_rate_and_one_more(steps: list[tuple[float, int]]) -> None:
    rate, bucket, now, taken, largest = 800_000, Bucket(800_000, 0.0, burst_seconds=2), 0.0, 0, 0
    for pause, size in steps:
        now += pause
        seconds = bucket.wait(now)
        if seconds > 0:
            now += seconds + 0.001
        assert bucket.wait(now) == 0, "whoever waits for as long as it is told gets something"
        bucket.take(size, now)
        taken += size
        largest = max(largest, size)
    assert taken <= (now + 2) * rate / 8 + largest


def test_new_viewers_are_turned_away_until_it_has_been_calm_for_a_while() -> None:
    connections = 0
    overload = Overload(Limits(lag_seconds=0.2, connections=100), lambda: connections, lambda: 0)
    overload.judge(0.05, 0)
    overload.check()
    connections = 100
    overload.judge(0.0, 1)
    with pytest.raises(Problem) as caught:
        overload.check()
    assert caught.value.status == 503
    assert 2 <= (caught.value.retry_after_seconds or 0) <= 10
    connections = 80
    overload.judge(0.0, 2)
    overload.judge(0.0, 2 + 2 * CALM_SECONDS)
    assert overload.shedding, "between the thresholds nothing changes"
    connections = 50
    overload.judge(0.0, 20)
    assert overload.shedding
    overload.judge(0.0, 20 + CALM_SECONDS)
    overload.check()


def test_one_late_look_is_no_overload_and_a_lasting_lag_is() -> None:
    overload = Overload(Limits(lag_seconds=0.25), lambda: 0, lambda: 0)
    overload.judge(0.5, 0)
    assert not overload.shedding
    for second in range(1, 5):
        overload.judge(0.5, second)
    assert overload.shedding


def test_pods_that_are_no_more_do_not_count() -> None:
    answer = {
        "a pod-1": '{"viewers": 3, "ts_ms": 99000}', "a pod-2": '{"viewers": 4, "ts_ms": 99000}',
        "a pod-3": '{"viewers": 5, "ts_ms": 1}', "b pod-2": "x",
    }  # fmt: skip
    assert count_elsewhere(answer, "pod-1", 100_000) == ({"a": 4}, ["a pod-3", "b pod-2"])
