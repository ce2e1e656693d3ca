"""The origin's answers: what blocks, what is refused, what may be cached."""

import asyncio

import pytest
from media_builders import AUDIO_INIT, VIDEO_INIT, frame
from prometheus_client import CollectorRegistry

from workloads.common.mediatime import MEDIA_EPOCH_SECONDS
from workloads.common.problem import Problem
from workloads.transcoder.config import Ladder, Rung, StreamSpec
from workloads.transcoder.encode.command import EncodePlan
from workloads.transcoder.encode.ladder import choose
from workloads.transcoder.metrics import Metrics
from workloads.transcoder.serve.origin import Origin, parse_reload
from workloads.transcoder.source import Source
from workloads.transcoder.stream import Stream

START = 50_000_000.0
PREFIX = "/hls/shop/launch"


class Wall:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = MEDIA_EPOCH_SECONDS + START

    def __call__(self) -> float:
        return self.now


class Broadcast:
    """A stream that is fed frame by frame."""

    def __init__(self) -> None:
        ladder = Ladder(rungs=(Rung(name="720p", width=1280, height=720, fps=30, video_kbps=2800),))
        self.wall = Wall()
        self.stream = Stream(
            StreamSpec(stream="shop/launch", ladder=ladder), window_seconds=30, max_bytes=10**8, wall=self.wall
        )
        self.origin = Origin(self.stream, Metrics(CollectorRegistry()))
        self.frames = 0

    def begin(self) -> None:
        source = Source(1280, 720, 25.0, has_video=True, has_audio=True)
        ladder = self.stream.spec.ladder
        self.stream.publishing()
        self.stream.begin(EncodePlan(tuple(choose(ladder, source)), True, ladder, START, "superfast"), source)
        self.stream.encoded("720p", VIDEO_INIT)
        self.stream.encoded("audio", AUDIO_INIT)

    def feed(self, seconds: float) -> None:
        for _ in range(round(seconds * 25)):
            at = START + self.frames / 25
            self.stream.encoded("720p", frame(at, 1 / 25, sync=self.frames % 25 == 0))
            self.stream.encoded("audio", frame(at, 1 / 25, sync=True, timescale=48_000))
            self.frames += 1

    @property
    def msn(self) -> int:
        return self.stream.renditions["720p"].open_msn


@pytest.fixture
def live() -> Broadcast:
    broadcast = Broadcast()
    broadcast.begin()
    broadcast.feed(3.4)
    return broadcast


async def status_of(live: Broadcast, path: str, query: str = "") -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        await live.origin.reply(path, query)
    return caught.value.status, caught.value.code


async def test_everything_that_a_playlist_names_can_be_had(live: Broadcast) -> None:
    master = await live.origin.reply(f"{PREFIX}/master.m3u8")
    assert b"720p/media.m3u8" in master.body
    for name in ("720p", "audio"):
        text = (await live.origin.reply(f"{PREFIX}/{name}/media.m3u8")).body.decode()
        uris = [line.split('URI="')[1].split('"')[0] for line in text.splitlines() if 'URI="' in line]
        uris += [line for line in text.splitlines() if not line.startswith("#")]
        for uri in uris:
            if "HINT" not in next(line for line in text.splitlines() if uri in line) and ".." not in uri:
                path, _, query = uri.partition("?")
                reply = await live.origin.reply(f"{PREFIX}/{name}/{path}", query)
                assert "immutable" in reply.cache_control


async def test_a_reload_waits_for_its_part(live: Broadcast) -> None:
    parts = len(live.stream.renditions["720p"].current.parts)  # type: ignore[union-attr]
    query = f"_HLS_msn={live.msn}&_HLS_part={parts}"
    waiting = asyncio.create_task(live.origin.reply(f"{PREFIX}/720p/media.m3u8", query))
    await asyncio.sleep(0)
    assert not waiting.done()
    live.feed(0.2)
    reply = await waiting
    assert f'URI="{live.msn}.{parts}.m4s"' in reply.body.decode()
    assert reply.cache_control == "public, max-age=1"


async def test_a_reload_for_a_whole_segment_waits_for_its_end(live: Broadcast) -> None:
    wanted = live.msn
    waiting = asyncio.create_task(live.origin.reply(f"{PREFIX}/720p/media.m3u8", f"_HLS_msn={wanted}"))
    live.feed(0.4)
    await asyncio.sleep(0)
    assert not waiting.done()
    live.feed(1)
    assert f"\n{wanted}.m4s" in (await waiting).body.decode()


async def test_the_hinted_part_is_held_until_it_is_there(live: Broadcast) -> None:
    parts = len(live.stream.renditions["720p"].current.parts)  # type: ignore[union-attr]
    waiting = asyncio.create_task(live.origin.reply(f"{PREFIX}/720p/{live.msn}.{parts}.m4s"))
    await asyncio.sleep(0)
    assert not waiting.done()
    live.feed(0.2)
    assert (await waiting).kind == "part"


async def test_a_hinted_part_that_never_comes_is_not_found(live: Broadcast) -> None:
    parts = len(live.stream.renditions["720p"].current.parts)  # type: ignore[union-attr]
    waiting = asyncio.create_task(live.origin.reply(f"{PREFIX}/720p/{live.msn}.{parts}.m4s"))
    await asyncio.sleep(0)
    live.stream.finish()
    with pytest.raises(Problem, match="not there"):
        await waiting


async def test_a_playlist_that_does_not_grow_in_time_is_503(live: Broadcast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workloads.transcoder.serve.origin.HOLD_TARGETS", 0.01)
    assert await status_of(live, f"{PREFIX}/720p/media.m3u8", f"_HLS_msn={live.msn}") == (503, "not_yet")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/hls/shop/other/master.m3u8", 404),
        (f"{PREFIX}/999p/media.m3u8", 404),
        (f"{PREFIX}/720p/1.m4s", 404),
        (f"{PREFIX}/720p/../../etc/passwd", 404),
        (f"{PREFIX}/720p/{10**14}.0.m4s", 404),
        (f"{PREFIX}/720p/init.mp4?v=0", 404),
    ],
)
async def test_unknown_things_are_not_found(live: Broadcast, path: str, status: int) -> None:
    path, _, query = path.partition("?")
    assert (await status_of(live, path, query))[0] == status


async def test_requests_too_far_ahead_are_refused(live: Broadcast) -> None:
    playlist = f"{PREFIX}/720p/media.m3u8"
    assert await status_of(live, playlist, f"_HLS_msn={live.msn + 3}") == (400, "too_far_ahead")
    assert await status_of(live, playlist, f"_HLS_msn={live.msn}&_HLS_part=60") == (400, "too_far_ahead")


@pytest.mark.parametrize("query", ["_HLS_msn=x", "_HLS_part=1", "_HLS_msn=-1", "_HLS_msn=1&_HLS_part=1.5"])
def test_malformed_directives_name_their_field(query: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_reload(query)
    assert caught.value.status == 400
    assert caught.value.errors[0]["field"].startswith("_HLS_")


async def test_before_the_first_segment_players_are_held_and_then_served() -> None:
    broadcast = Broadcast()
    waiting = [
        asyncio.create_task(broadcast.origin.reply(f"{PREFIX}/{path}"))
        for path in ("master.m3u8", "720p/media.m3u8", "audio/media.m3u8")
    ]
    broadcast.begin()
    broadcast.feed(0.9)
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    broadcast.feed(0.3)
    assert [reply.kind for reply in await asyncio.gather(*waiting)] == ["master", "playlist", "playlist"]


async def test_a_stream_that_nobody_publishes_is_not_live() -> None:
    broadcast = Broadcast()
    broadcast.wall.now += 60
    assert await status_of(broadcast, f"{PREFIX}/master.m3u8") == (404, "not_live")
    assert await status_of(broadcast, f"{PREFIX}/720p/media.m3u8") == (404, "not_live")


async def test_media_time_goes_on_after_a_reconnect_even_when_the_clock_went_back(live: Broadcast) -> None:
    published = live.stream.renditions["720p"].last_time
    live.stream.finish()
    live.wall.now -= 3600
    assert live.stream.media_time() > published
