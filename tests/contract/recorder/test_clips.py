"""Clips: ordered by staff, cut at key frames, progressive."""

import io
import itertools
from typing import Any

import av
import httpx
import pytest
from media_plane import STREAM, wait_for
from recorder_plane import Broadcast, dates, sessions, stamp_of
from test_replay import seconds_of


def order(recorded: Broadcast, body: dict[str, Any], headers: dict[str, str] | None = None) -> httpx.Response:
    studio = recorded.studio
    return httpx.post(f"{studio.base}/api/v1/clips", json=body, headers=headers or studio.token(), timeout=10)


def made(recorded: Broadcast, body: dict[str, Any]) -> dict[str, Any]:
    """The clip when it is done."""
    response = order(recorded, {"stream": STREAM} | body)
    assert response.status_code == 202, response.text
    found: dict[str, Any] = {}

    def done() -> bool:
        found.update(recorded.studio.get(response.headers["location"]).json())
        return found["status"] in ("ready", "failed")

    wait_for(done, 40)
    return found


def top_boxes(data: bytes) -> list[bytes]:
    at, found = 0, []
    while at < len(data):
        found.append(data[at + 4 : at + 8])
        at += int.from_bytes(data[at : at + 4], "big")
    return found


def test_a_clip_is_a_progressive_mp4_of_what_was_asked(recorded: Broadcast) -> None:
    start = round(seconds_of(dates(sessions(recorded.playlist("360p"))[1])[0]) * 1000) + 1300
    clip = made(recorded, {"start_ms": start, "end_ms": start + 3000, "title": "Teal"})
    assert clip["status"] == "ready", clip
    assert clip["start_ms"] <= start
    assert clip["end_ms"] >= start + 3000
    assert 3000 <= clip["duration_ms"] <= 5100
    response = recorded.studio.get(clip["url"])
    assert response.status_code == 200
    assert len(response.content) == clip["bytes"]
    boxes = top_boxes(response.content)
    assert boxes.index(b"moov") < boxes.index(b"mdat")
    with av.open(io.BytesIO(response.content)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        for stream in (video, audio):
            assert float(stream.duration * stream.time_base) == pytest.approx(clip["duration_ms"] / 1000, abs=0.15)
        frames = list(container.decode(video))
    assert len(frames) == pytest.approx(clip["duration_ms"] / 40, abs=2)
    ages = [clip["start_ms"] + frame.time * 1000 - stamp_of(frame.to_image()) for frame in frames[:: len(frames) // 3]]
    assert max(ages) - min(ages) < 150, "picture and clock run alike"
    assert -200 < ages[0] < 2500


def test_a_clip_leaves_the_pause_out(recorded: Broadcast) -> None:
    second = round(seconds_of(dates(sessions(recorded.playlist("360p"))[1])[0]) * 1000)
    clip = made(recorded, {"recording": recorded.item["id"], "start_ms": second - 6000, "end_ms": second + 2000})
    assert clip["status"] == "ready", clip
    assert clip["duration_ms"] < clip["end_ms"] - clip["start_ms"] - 500
    with av.open(io.BytesIO(recorded.studio.get(clip["url"]).content)) as container:
        moments = sorted(frame.time for frame in container.decode(video=0))
    assert max(after - before for before, after in itertools.pairwise(moments)) < 0.2
    assert moments[-1] == pytest.approx(clip["duration_ms"] / 1000, abs=0.15)


def test_play_time_works_too_and_ranges_are_served(recorded: Broadcast) -> None:
    clip = made(recorded, {"recording": recorded.item["id"], "start_ms": 1000, "end_ms": 2500})
    assert clip["status"] == "ready", clip
    url = f"{recorded.studio.base}{clip['url']}"
    part = httpx.get(url, headers={"Range": "bytes=4-7"}, timeout=10)
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert part.headers["content-range"] == f"bytes 4-7/{clip['bytes']}"
    assert len(httpx.get(url, headers={"Range": "bytes=-10"}, timeout=10).content) == 10
    assert httpx.get(url, headers={"Range": "bytes=99999999-"}, timeout=10).status_code == 416


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"start_ms": 2000, "end_ms": 1000}, 422),
        ({"start_ms": 0, "end_ms": 100_000_000}, 422),
        ({"start_ms": -1, "end_ms": 10}, 422),
        ({"start_ms": 0, "end_ms": 10, "recording": "../x"}, 422),
        ({"start_ms": 0, "end_ms": 10, "recording": "20000101T000000Z-u1"}, 404),
        ({"start_ms": "0", "end_ms": 10}, 422),
        ({"start_ms": 0}, 422),
    ],
)
def test_bad_orders_are_refused(recorded: Broadcast, body: dict[str, Any], status: int) -> None:
    assert order(recorded, {"stream": STREAM} | body).status_code == status


def test_only_staff_of_the_stream_orders(recorded: Broadcast) -> None:
    body = {"stream": STREAM, "start_ms": 0, "end_ms": 1000}
    studio = recorded.studio
    assert order(recorded, body, {"Authorization": "Bearer x"}).status_code == 401
    assert order(recorded, body, studio.token("viewer")).status_code == 403
    assert order(recorded, body, studio.token("host", "shop/other")).status_code == 403
    assert order(recorded, body, studio.token("moderator")).status_code == 202
    assert studio.get("/api/v1/clips/none").status_code == 404
