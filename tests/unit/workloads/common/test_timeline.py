"""Whatever a publisher's clock does, the line goes on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.common.publication.timeline import GAP_MS, LEAP_MS, MODULUS, Timeline

VIDEO, AUDIO = 9, 8


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param([0, 40, 80], [0, 40, 80], id="as it should be"),
        pytest.param([500_000, 500_040], [0, 40], id="begins anywhere"),
        pytest.param([0, 40, 3_600_000, 3_600_040], [0, 40, 40 + GAP_MS, 80 + GAP_MS], id="leaps"),
        pytest.param([90_000, 90_040, 0, 40], [0, 40, 40 + GAP_MS, 80 + GAP_MS], id="begins anew"),
        pytest.param([MODULUS - 40, 0, 40], [0, 40, 80], id="wraps"),
        pytest.param([0, 40, 20, 60], [0, 40, 40, 60], id="goes back a little"),
        pytest.param([0, 2_500], [0, 2_500], id="pauses"),
    ],
)
def test_tables(raw: list[int], expected: list[int]) -> None:
    timeline = Timeline()
    assert [timeline.date(VIDEO, item) for item in raw] == expected


def test_sound_of_the_old_clock_is_dated_by_it() -> None:
    timeline = Timeline()
    for at in range(0, 1000, 40):
        timeline.date(VIDEO, 100_000 + at)
        timeline.date(AUDIO, 100_000 + at)
    first = timeline.date(VIDEO, 0)
    late = timeline.date(AUDIO, 100_980)
    assert (first, late) == (960 + GAP_MS, 980)
    picture, sound = timeline.date(VIDEO, 40), timeline.date(AUDIO, 40)
    assert picture == sound
    assert timeline.jumps == 1


@given(st.lists(st.tuples(st.sampled_from([VIDEO, AUDIO]), st.integers(0, MODULUS - 1)), max_size=60))
def test_time_never_goes_back_nor_leaps(messages: list[tuple[int, int]]) -> None:
    timeline = Timeline()
    last: dict[int, int] = {}
    end = 0
    for kind, raw in messages:
        time = timeline.date(kind, raw)
        assert time >= last.get(kind, 0)
        assert time <= end + LEAP_MS + GAP_MS
        last[kind], end = time, max(end, time)
    assert end == timeline.end_ms


@given(st.lists(st.integers(0, 200), min_size=1, max_size=60), st.integers(0, MODULUS - 1))
def test_a_good_clock_is_left_alone(steps: list[int], first: int) -> None:
    timeline, raw, expected = Timeline(), first, 0
    timeline.date(VIDEO, first)
    for step in steps:
        raw, expected = (raw + step) % MODULUS, expected + step
        assert timeline.date(VIDEO, raw) == expected
    assert timeline.jumps == 0
