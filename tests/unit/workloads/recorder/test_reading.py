"""Playlists of the origin, entries of the directory, paths of viewers, events of rooms: good ones and bad ones."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.recorder import hls, layout, room
from workloads.recorder.index import Minute, Rendition, Segment
from workloads.recorder.replay.paths import classify, parse_range
from workloads.recorder.room import Line
from workloads.recorder.timeline import Timeline
from workloads.recorder.wanted import parse_wanted

MASTER = """#EXTM3U
#EXT-X-VERSION:9
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="main",DEFAULT=YES,URI="audio/media.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=900000,CODECS="avc1.4d401f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=25.000,AUDIO="audio"
720p/media.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="avc1.4d401f",RESOLUTION=1x1
../../evil/media.m3u8
"""
MEDIA = """#EXTM3U
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-MAP:URI="init.mp4?v=abc123"
#EXT-X-PROGRAM-DATE-TIME:2025-01-01T00:00:10.500Z
#EXTINF:2.00000,
7.m4s
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2025-01-01T00:00:20.000Z
#EXT-X-PART:DURATION=0.2,URI="8.0.m4s"
#EXTINF:1.50000,
8.m4s
#EXT-X-PROGRAM-DATE-TIME:2025-01-01T00:00:21.500Z
#EXT-X-PART:DURATION=0.2,URI="9.0.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="9.1.m4s"
"""


def test_renditions_are_read() -> None:
    video, audio = hls.parse_master(MASTER)
    assert video == hls.Variant("720p", "avc1.4d401f", 900_000, 1280, 720, 25.0)
    assert audio == hls.Variant("audio", "mp4a.40.2")


def test_finished_segments_are_read() -> None:
    assert hls.parse_media(MEDIA) == [
        hls.Listed(7, 10.5, 2.0, "abc123", False),
        hls.Listed(8, 20.0, 1.5, "abc123", True),
    ]


@pytest.mark.parametrize(
    "text",
    ["", "<html>", "#EXTM3U\n#EXTINF:x,\n1.m4s", "#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:soon", "#EXTM3U\n#EXTINF:-1,"],
)
def test_what_is_no_playlist_is_a_typed_error(text: str) -> None:
    with pytest.raises(hls.PlaylistError):
        hls.parse_media(text)


@given(st.text())
def test_no_text_makes_the_reader_fail_otherwise(text: str) -> None:
    for read in (hls.parse_media, hls.parse_master):
        try:
            read("#EXTM3U\n" + text)
        except hls.PlaylistError:
            continue


def test_a_directory_entry_says_what_is_recorded() -> None:
    raw = json.dumps({"uid": "u", "phase": "Live", "origin": "http://1.2.3.4:8080", "recording": {"enabled": True}})
    wanted = parse_wanted("shop/launch", raw)
    assert wanted is not None
    assert wanted.enabled
    assert wanted.on_air
    assert wanted.dvr_window_seconds == 300


@pytest.mark.parametrize("raw", ["", "3", "[]", '{"recording": 3}', '{"recording": {"enabled": "yes"}}'])
def test_a_strange_entry_records_nothing(raw: str) -> None:
    wanted = parse_wanted("shop/launch", raw)
    assert wanted is None or not wanted.enabled
    assert parse_wanted("../x", '{"recording": {"enabled": true}}') is None


def test_paths_of_viewers() -> None:
    base = "/vod/shop/launch/20260101T000000Z-u1"
    kinds = {
        path: getattr(classify(path), "kind", None)
        for path in (
            f"{base}/master.m3u8",
            f"{base}/720p/media.m3u8",
            f"{base}/720p/12.m4s",
            f"{base}/events",
            "/vod/shop/launch/",
            "/thumbs/shop/launch/latest.jpg",
            f"/vod/shop/launch/clips/{'a' * 32}.mp4",
        )
    }
    assert list(kinds.values()) == ["master.m3u8", "media", "object", "events", "list", "latest", "clip"]
    for path in (
        f"{base}/../x",
        f"{base}/index/1.json",
        f"{base}/events.jsonl",
        "/vod/a",
        f"{base}/720p/1.2.m4s",
        "/vod//x/",
    ):
        assert classify(path) is None, path


@given(st.text(alphabet="/.abcZ0123-%\\", max_size=60))
def test_no_path_leads_out_of_the_store(text: str) -> None:
    target = classify(f"/vod/{text}")
    if target is not None and target.object:
        assert ".." not in target.object.split("/")
        assert not target.object.startswith("/")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=5-", (5, None)),
        ("bytes=-3", (None, 3)),
        ("bytes=3-1", None),
        ("x", None),
        ("bytes=-", None),
    ],
)
def test_ranges(value: str, found: object) -> None:
    assert parse_range(value) == found


def timeline() -> Timeline:
    kind = Rendition("avc1", 1, 640, 360, 25.0)
    rows = [Segment(n, 100.0 + 2 * n, 2.0, 1, "a") for n in range(5)]
    return Timeline(Minute({"v": kind}, {"v": rows}, {}))


def line(at: float, event: str, number: int, **data: object) -> Line:
    return Line(layout.wall_ms(at), event, dict(data), number, "e")


def test_a_replay_has_each_event_once_and_no_deleted_ones() -> None:
    lines = [
        line(101, "chat", 1, text="hi", user={"id": "a"}),
        line(101, "chat", 1, text="hi", user={"id": "a"}),
        line(102, "chat", 2, text="rude", user={"id": "b"}),
        line(102.5, "chat", 3, text="spam", user={"id": "c"}),
        line(103, "chat.deleted", 4, offset=2),
        line(103, "chat.deleted", 5, user_id="c"),
        line(104, "pin", 6, sku="S"),
        line(50, "chat", 0, text="before"),
        line(500, "chat", 9, text="after"),
    ]
    moments = room.replay(reversed(lines), timeline())
    assert [(moment.event, moment.at_ms) for moment in moments] == [("chat", 1000), ("pin", 4000)]
    (chapter,) = room.chapters(moments, timeline())
    assert (chapter.start_ms, chapter.end_ms, chapter.sku) == (4000, 10_000, "S")


@pytest.mark.parametrize(
    "raw", ["", "3", "{}", '{"ts_ms": "x", "event": "chat", "data": {}, "offset": 1, "epoch": "e"}']
)
def test_strange_events_are_left_out(raw: str) -> None:
    assert room.parse_event(raw) is None
    assert room.parse_lines(raw.encode() + b"\n\xff\n") == []
    assert room.replay([line(101, "chat.deleted", 1, user_id=[], offset={})], timeline()) == []
