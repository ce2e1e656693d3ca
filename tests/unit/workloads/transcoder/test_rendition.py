"""Grouping frames into parts and segments: nothing is lost, everything is in order, and cuts fall on the grid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_builders import AUDIO_INIT, VIDEO_INIT, frame

from workloads.common.cmaf.boxes import BoxReader
from workloads.common.cmaf.fragment import Init, parse_fragment
from workloads.common.mediatime import MEDIA_EPOCH_SECONDS
from workloads.transcoder.package.grid import Grid
from workloads.transcoder.package.rendition import Rendition, initial_msn

GRID = Grid(100.0, 1.0, 2.0)


def video(part_seconds: float = 0.2, window_seconds: float = 30, max_bytes: int = 10**9) -> Rendition:
    rendition = Rendition(
        "720p", first_msn=7, part_seconds=part_seconds, window_seconds=window_seconds, max_bytes=max_bytes
    )
    rendition.begin(GRID)
    rendition.add_init(VIDEO_INIT)
    return rendition


def feed(rendition: Rendition, seconds: float, fps: float, gop_seconds: float = 1.0, start: float = 100.0) -> None:
    per_gop = round(gop_seconds * fps)
    for index in range(round(seconds * fps)):
        rendition.add(frame(start + index / fps, 1 / fps, sync=index % per_gop == 0))


def test_segments_are_cut_on_the_grid_and_parts_hold_whole_frames() -> None:
    rendition = video()
    feed(rendition, 5.5, 25)
    assert [(s.msn, s.start, round(s.duration, 3)) for s in rendition.segments] == [
        (7, 100, 1),
        (8, 101, 1),
        (9, 102, 2),
    ]
    assert [round(part.duration, 3) for part in rendition.segments[-1].parts] == [0.2] * 10
    assert [part.independent for part in rendition.segments[-1].parts] == [True] + [False] * 4 + [True] + [False] * 4
    assert rendition.current is not None
    assert (rendition.current.msn, len(rendition.current.parts)) == (10, 7)


def test_a_part_is_whole_with_its_last_frame() -> None:
    rendition = video()
    changes = [rendition.add(frame(100 + index / 25, 1 / 25, sync=index == 0)) for index in range(10)]
    assert changes == [False] * 4 + [True] + [False] * 4 + [True]


@pytest.mark.parametrize(("fps", "frames"), [(24, 4), (25, 5), (29.97, 6), (30, 6), (50, 10), (60, 12), (4, 1)])
def test_parts_hold_as_many_frames_as_fit_their_target(fps: float, frames: int) -> None:
    rendition = video()
    feed(rendition, 1.0, fps)
    rendition.finish()
    first = rendition.segments[0].parts[0]
    assert round(first.duration * fps) == frames


def test_audio_is_cut_on_the_same_grid_without_key_frames() -> None:
    rendition = Rendition("audio", first_msn=7, part_seconds=0.2, window_seconds=30, max_bytes=10**9, video=False)
    rendition.begin(GRID)
    rendition.add_init(AUDIO_INIT)
    step = 1024 / 48_000
    for index in range(round(5 / step)):
        rendition.add(frame(99.98 + index * step, step, sync=True, timescale=48_000))
    assert [segment.msn for segment in rendition.segments] == [7, 8, 9]
    assert [abs(segment.start - at) < step for segment, at in zip(rendition.segments, (100, 101, 102), strict=True)]
    assert all(part.duration <= 0.2 for segment in rendition.segments for part in segment.parts)


def test_jitter_of_milliseconds_does_not_move_a_cut() -> None:
    rendition = video()
    starts = [100.0, *[100 + round(index / 30, 3) for index in range(1, 150)]]
    for index, start in enumerate(starts):
        rendition.add(frame(start - (0.001 if index in (30, 60) else 0), 1 / 30, sync=index in (0, 30, 60, 120)))
    assert [round(segment.duration, 1) for segment in rendition.segments] == [1.0, 1.0, 2.0]


@given(
    st.lists(st.tuples(st.floats(0.01, 0.5), st.booleans(), st.integers(1, 50)), min_size=1, max_size=80),
    st.sampled_from([0.1, 0.2, 0.5]),
)
def test_every_frame_is_in_exactly_one_part_in_order(frames: list[tuple[float, bool, int]], part: float) -> None:
    rendition = video(part_seconds=part, window_seconds=10**6)
    at, fed = 100.0, []
    for duration, sync, size in frames:
        fragment = frame(at, duration, sync=sync, size=size)
        fed.append(fragment.samples[0])
        rendition.add(fragment)
        at += duration
    rendition.finish()
    found = []
    for segment in rendition.segments:
        assert segment.data == b"".join(p.data for p in segment.parts)
        for chunk in segment.parts:
            [(_, moof), (_, mdat)] = BoxReader().feed(chunk.data)
            found += parse_fragment(moof, mdat[8:]).samples
    assert found == fed
    assert [s.msn for s in rendition.segments] == list(range(7, 7 + len(rendition.segments)))
    assert rendition.current is None


def test_a_new_session_continues_the_numbers_after_a_discontinuity() -> None:
    rendition = video()
    feed(rendition, 2.5, 25)
    rendition.begin(Grid(110.0, 1.0, 2.0))
    rendition.add_init(Init(b"other", 90_000, "avc1.64001f", 640, 360))
    feed(rendition, 1.5, 25, start=110.0)
    marks = [(s.msn, s.discontinuity, s.discontinuity_sequence) for s in [*rendition.segments, rendition.current] if s]
    assert marks == [(7, False, 0), (8, False, 0), (9, False, 0), (10, True, 1), (11, False, 1)]
    assert len(rendition.inits) == 2


def test_a_session_without_media_leaves_no_discontinuity_behind() -> None:
    rendition = video()
    rendition.begin(GRID)
    feed(rendition, 1.5, 25)
    assert not rendition.segments[0].discontinuity


def test_the_window_slides_and_old_configurations_leave() -> None:
    rendition = video(window_seconds=6)
    feed(rendition, 40, 25)
    assert sum(segment.duration for segment in rendition.listed()) == pytest.approx(6, abs=0.1)
    assert len(rendition.segments) == 3 + 3
    rendition.begin(Grid(200.0, 1.0, 2.0))
    rendition.add_init(Init(b"other", 90_000, "avc1.64001f", 640, 360))
    feed(rendition, 40, 25, start=200.0)
    assert len(rendition.inits) == 1
    assert rendition.segment(7) is None


def test_memory_is_bounded_in_bytes() -> None:
    rendition = video(max_bytes=50_000)
    feed(rendition, 30, 25)
    assert sum(segment.size for segment in rendition.segments) <= 50_000


def test_questions_about_parts() -> None:
    rendition = video()
    feed(rendition, 1.5, 25)
    assert rendition.has(7, None)
    assert not rendition.has(8, None)
    assert [rendition.has(8, part) for part in (0, 1, 2)] == [True, True, False]
    assert rendition.has(7, 99), "beyond the end of a finished segment means the first part of the next"
    assert not rendition.has(9, 0)


def test_numbers_of_a_replacement_are_above_those_of_its_predecessor() -> None:
    began = MEDIA_EPOCH_SECONDS + 1_000_000.0
    for lived in (1, 10, 86_400):
        assert initial_msn(began + lived) >= initial_msn(began) + lived
