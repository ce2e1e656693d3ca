"""The play time of recordings with pauses, holes and two writers; the playlists that follow from it."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.recorder import playlists
from workloads.recorder.index import (
    DamagedDocument,
    Minute,
    Rendition,
    Segment,
    decode_head,
    decode_minute,
    encode,
    unite,
)
from workloads.recorder.timeline import Timeline

VIDEO = Rendition("avc1.42c01e", 500_000, 640, 360, 25.0)
SMALL = Rendition("avc1.42c00c", 200_000, 320, 180, 25.0)
AUDIO = Rendition("mp4a.40.2")


def segments(
    start: float, count: int, *, msn: int = 0, init: str = "aa", cut: bool = False, seconds: float = 2.0
) -> list[Segment]:
    """Segments one after the other; `cut` flags the first."""
    return [
        Segment(msn + number, round(start + number * seconds, 3), seconds, 1000, init, cut and not number)
        for number in range(count)
    ]


def made(**rungs: list[Segment]) -> Timeline:
    kinds = {"video": VIDEO, "small": SMALL, "audio": AUDIO}
    return Timeline(Minute({name: kinds[name] for name in rungs}, dict(rungs), {}))


def test_a_pause_is_no_play_time() -> None:
    timeline = made(video=segments(100, 3) + segments(200, 2, msn=3, cut=True))
    assert timeline.play_time(100) == 0
    assert timeline.play_time(103) == 3
    assert timeline.play_time(150) == 6
    assert timeline.play_time(201) == 7
    assert timeline.play_time(99) is None
    assert timeline.play_time(205) is None
    assert timeline.media_time(7) == 201
    assert timeline.media_time(11) is None


def test_cuts_are_one_where_picture_and_sound_differ_a_little() -> None:
    timeline = made(
        video=segments(100, 2) + segments(200.06, 2, msn=2, cut=True),
        audio=segments(99.98, 2) + segments(200, 2, msn=2, cut=True),
    )
    for rung in ("video", "audio"):
        assert [item.cuts for item in timeline.placed(rung)] == [0, 0, 1, 1]
        assert playlists.media(timeline, rung).count("#EXT-X-DISCONTINUITY\n") == 1


def test_a_hole_is_a_cut_without_a_flag() -> None:
    lost = segments(100, 2) + segments(106, 2, msn=3)
    assert playlists.media(made(video=lost), "video").count("#EXT-X-DISCONTINUITY\n") == 1


def test_another_configuration_is_a_cut_and_has_its_map() -> None:
    text = playlists.media(made(video=segments(100, 1) + segments(102, 1, msn=1, init="bb")), "video")
    assert re.findall(r'URI="init-(\w+)\.mp4"', text) == ["aa", "bb"]
    assert "#EXT-X-DISCONTINUITY\n" in text


def test_a_rendition_that_is_not_whole_is_left_out() -> None:
    timeline = made(video=segments(100, 10), small=segments(100, 5))
    assert list(timeline.renditions) == ["video"]
    assert "320x180" not in playlists.master(timeline)


def test_the_same_seconds_of_two_transcoders_are_played_once() -> None:
    index = unite([Minute({"video": VIDEO}, {"video": segments(100, 3) + segments(104, 3, msn=900)}, {})])
    assert [item.start for item in index.segments["video"]] == [100, 102, 104, 106, 108]


def test_the_window_of_a_growing_recording_slides() -> None:
    timeline = made(video=segments(0, 10) + segments(40, 10, msn=10, cut=True))
    text = playlists.media(timeline, "video", window_seconds=10)
    assert "#EXT-X-MEDIA-SEQUENCE:15" in text
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:1" in text
    assert "PLAYLIST-TYPE" not in text
    assert "ENDLIST" not in text
    whole = playlists.media(timeline, "video", window_seconds=1000)
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in whole
    assert "#EXT-X-MEDIA-SEQUENCE:0" in whole


def test_cues_cover_the_play_time() -> None:
    index = Minute({"video": VIDEO}, {"video": segments(100, 10)}, {10: 100.0, 11: 110.0})
    text = playlists.sprites(Timeline(index))
    assert "00:00:00.000 --> 00:00:10.000\nsprites/0.jpg#xywh=0,90,160,90" in text
    assert "00:00:10.000 --> 00:00:20.000\nsprites/0.jpg#xywh=160,90,160,90" in text


@pytest.mark.parametrize("data", [b"", b"[]", b'{"segments": {"a": [[1]]}}', b"\xff", b'{"id": 3}'])
def test_damaged_documents_are_typed_errors(data: bytes) -> None:
    with pytest.raises(DamagedDocument):
        decode_head(data)
    if data:
        with pytest.raises(DamagedDocument):
            decode_minute(data if data != b'{"id": 3}' else b"3")


def test_a_head_of_another_place_is_refused() -> None:
    with pytest.raises(DamagedDocument):
        decode_head(b'{"id": "20260101T000000Z", "stream": "../x"}')


pieces = st.lists(
    st.tuples(st.integers(1, 6), st.floats(0.5, 50, allow_nan=False), st.booleans()), min_size=1, max_size=6
)


@given(pieces, st.randoms(use_true_random=False))
def test_order_and_repetition_of_documents_do_not_matter(parts: list[tuple[int, float, bool]], random: object) -> None:
    at, msn, all_segments = 0.0, 0, []
    for count, pause, cut in parts:
        all_segments += segments(at, count, msn=msn, cut=cut)
        at, msn = all_segments[-1].end + pause, msn + count
    documents = [Minute({"video": VIDEO}, {"video": [item]}, {}) for item in all_segments]
    shuffled = documents + documents[::2]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    index = unite(shuffled)
    assert index.segments["video"] == all_segments
    assert decode_minute(encode(index)) == index
    timeline = Timeline(index)
    assert timeline.seconds("video") == pytest.approx(2.0 * len(all_segments))
    for item in timeline.placed("video"):
        assert timeline.play_time(item.segment.start + 0.5) == pytest.approx(item.at + 0.5)
        assert timeline.media_time(item.at + 0.5) == pytest.approx(item.segment.start + 0.5)
    ats = [item.at for item in timeline.placed("video")]
    assert all(before < after for before, after in itertools.pairwise(ats))
