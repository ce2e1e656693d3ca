"""What a recorded broadcast looks like to players, clients and search: whole, in time, and nothing of it twice."""

import io
import itertools
import json
import re
import time
from datetime import datetime

import av
import pytest
from media_plane import STREAM
from PIL import Image
from recorder_plane import Broadcast, dates, durations, media_of, names, sessions, stamp_of, times

RUNGS = ("360p", "180p", "audio")


def seconds_of(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def test_the_replay_is_there_at_once(recorded: Broadcast) -> None:
    assert recorded.seconds_to_end < 60
    master = recorded.studio.get(recorded.item["master"])
    assert master.headers["content-type"].startswith("application/vnd.apple.mpegurl")
    assert re.findall(r"RESOLUTION=(\S+?),", master.text) == ["640x360", "320x180"]
    assert 'URI="audio/media.m3u8"' in master.text


@pytest.mark.parametrize("rung", RUNGS)
def test_durations_add_up_and_there_is_no_hole(recorded: Broadcast, rung: str) -> None:
    playlist = recorded.playlist(rung)
    assert playlist.rstrip().endswith("#EXT-X-ENDLIST")
    assert "#EXT-X-PLAYLIST-TYPE:VOD" in playlist
    target = int(re.search(r"TARGETDURATION:(\d+)", playlist)[1])  # type: ignore[index]
    assert max(durations(playlist)) <= target + 0.5
    pieces = sessions(playlist)
    assert len(pieces) == 2, "the publisher came back once"
    for piece in pieces:
        found = times(media_of(recorded, rung, piece))
        length = sum(durations(piece))
        steps = [after - before for before, after in itertools.pairwise(found)]
        assert max(steps) < 0.1
        assert found[-1] - found[0] == pytest.approx(length, abs=0.1)
        assert seconds_of(dates(piece)[0]) == pytest.approx(found[0] + 1_735_689_600, abs=0.002)
    assert len(set(names(playlist))) == len(names(playlist))
    assert sum(durations(playlist)) == pytest.approx(recorded.item["duration_ms"] / 1000, abs=0.5)


def test_discontinuities_are_the_same_in_all_renditions(recorded: Broadcast) -> None:
    starts = [[seconds_of(dates(piece)[0]) for piece in sessions(recorded.playlist(rung))] for rung in RUNGS]
    for column in zip(*starts, strict=True):
        assert max(column) - min(column) < 0.3


def test_everything_has_the_broadcasts_time(recorded: Broadcast) -> None:
    """The barcode is the publisher's clock: what the playlist says of a picture's time is when it was made."""
    for piece in sessions(recorded.playlist("360p")):
        media = media_of(recorded, "360p", piece)
        with av.open(io.BytesIO(media)) as container:
            image = next(container.decode(video=0)).to_image()
        age = seconds_of(dates(piece)[0]) - stamp_of(image) / 1000
        assert -0.2 < age < 2.5


def test_unknown_names_are_refused(recorded: Broadcast) -> None:
    base = f"/vod/{STREAM}/{recorded.item['id']}"
    for path in (
        f"{base}/1080p/media.m3u8",
        f"{base}/360p/1.m4s",
        f"{base}/index/1.json",
        f"{base}/%2e%2e/%2e%2e/other",
        f"/vod/{STREAM}/20000101T000000Z-u1/master.m3u8",
        f"/vod/{STREAM}/%2e%2e%2fx",
        "/thumbs/shop/none/latest.jpg",
    ):
        response = recorded.studio.get(path)
        assert response.status_code == 404, path
        assert response.headers["content-type"] == "application/problem+json"


def test_media_may_be_kept_by_caches(recorded: Broadcast) -> None:
    first = names(recorded.playlist("360p"))[0]
    assert "immutable" in recorded.get(f"360p/{first}.m4s").headers["cache-control"]
    assert "immutable" not in recorded.studio.get(recorded.item["master"]).headers["cache-control"]


def test_thumbnails_show_the_broadcast(recorded: Broadcast) -> None:
    for kind in ("jpg", "webp"):
        response = recorded.studio.get(f"/thumbs/{STREAM}/latest.{kind}")
        image = Image.open(io.BytesIO(response.content))
        assert image.size == (640, 360)
        stamp = stamp_of(image)
        assert recorded.item["started_ms"] - 3000 < stamp < recorded.item["ended_ms"]


def test_sprites_show_what_the_video_showed(recorded: Broadcast) -> None:
    cues = re.findall(
        r"(\S+) --> (\S+)\n(sprites/\d+\.jpg)#xywh=(\d+),(\d+),(\d+),(\d+)", recorded.get("sprites.vtt").text
    )
    assert len(cues) >= 2
    assert cues[0][0] == "00:00:00.000"
    for (_, end, *_), (begin, *_) in itertools.pairwise(cues):
        assert end == begin
    moments = []
    for _, _, name, *place in cues:
        x, y, width, height = map(int, place)
        sheet = Image.open(io.BytesIO(recorded.get(name).content))
        tile = sheet.crop((x, y, x + width, y + height))
        assert tile.size == (160, 90)
        moments.append(stamp_of(tile))
    assert moments == sorted(moments)
    assert recorded.item["started_ms"] - 3000 < moments[0]
    assert moments[-1] < recorded.item["ended_ms"]


def test_events_stand_where_they_happened(recorded: Broadcast) -> None:
    items = recorded.get("events").json()["items"]
    assert [item["event"] for item in items] == ["chat", "pin", "chat", "pin"]
    assert "rude" not in json.dumps(items)
    pins = [item for item in items if item["event"] == "pin"]
    for pin, when in zip(pins, recorded.pinned, strict=True):
        assert wall_of(recorded, pin["at_ms"] / 1000) == pytest.approx(when / 1000, abs=1.0)
    some = recorded.get(f"events?from_ms={pins[0]['at_ms']}&to_ms={pins[0]['at_ms'] + 1}").json()["items"]
    assert pins[0] in some
    assert pins[1] not in some
    assert recorded.get("events?from_ms=soon").status_code == 422


def wall_of(recorded: Broadcast, at: float) -> float:
    """Wall-clock time of a play time, as a player finds it from the playlist."""
    for piece in sessions(recorded.playlist("360p")):
        length = sum(durations(piece))
        if at <= length:
            return seconds_of(dates(piece)[0]) + at
        at -= length
    raise AssertionError("after the end")


def test_chapters_follow_the_pins(recorded: Broadcast) -> None:
    chapters = recorded.get("chapters.json").json()
    assert [chapter["sku"] for chapter in chapters] == ["SAREE-RED", "SAREE-TEAL"]
    assert chapters[0]["end_ms"] == chapters[1]["start_ms"]
    assert chapters[1]["end_ms"] == recorded.item["duration_ms"]
    assert "Saree-Red" in recorded.get("chapters.vtt").text


def test_the_spool_is_empty_in_the_end(recorded: Broadcast) -> None:
    folder = recorded.studio.plane.folder / "spool-recorder-a"
    deadline = time.monotonic() + 10
    while [file for file in folder.iterdir() if file.suffix == ".item"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
