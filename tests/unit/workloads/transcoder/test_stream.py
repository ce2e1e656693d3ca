"""A stream over several sessions: a new ladder, another worker, and numbers that never come back."""

import asyncio

from media_builders import AUDIO_INIT, VIDEO_INIT, frame

from workloads.common.mediatime import MEDIA_EPOCH_SECONDS
from workloads.transcoder.config import Ladder, Rung, StreamSpec
from workloads.transcoder.encode.command import EncodePlan
from workloads.transcoder.encode.ladder import choose
from workloads.transcoder.package.rendition import initial_msn
from workloads.transcoder.source import Source
from workloads.transcoder.stream import Stream

SOURCE = Source(1280, 720, 25.0, has_video=True, has_audio=True)


def ladder(*heights: int, part_seconds: float = 0.2) -> Ladder:
    rungs = tuple(
        Rung(name=f"{height}p", width=height * 16 // 9, height=height, fps=30, video_kbps=height) for height in heights
    )
    return Ladder(rungs=rungs, part_seconds=part_seconds)


class Session:
    """A stream that is published to again and again."""

    def __init__(self, *heights: int) -> None:
        self.now = MEDIA_EPOCH_SECONDS + 1000.0
        spec = StreamSpec(stream="shop/launch", ladder=ladder(*heights))
        self.stream = Stream(spec, window_seconds=30, max_bytes=9_000_000, wall=lambda: self.now)

    def publish(self, seconds: float = 3.0) -> None:
        offset = self.stream.media_time()
        wanted = self.stream.spec.ladder
        plan = EncodePlan(tuple(choose(wanted, SOURCE, keep=self.stream.rungs)), True, wanted, offset, "superfast")
        self.stream.publishing()
        self.stream.begin(plan, SOURCE)
        for name in plan.names:
            self.stream.encoded(name, AUDIO_INIT if name == "audio" else VIDEO_INIT)
            for index in range(round(seconds * 25)):
                scale = 48_000 if name == "audio" else 90_000
                at = offset + index / 25
                self.stream.encoded(name, frame(at, 1 / 25, sync=index % 25 == 0, timescale=scale))
        self.now += seconds
        self.stream.finish()

    def ladder(self, new: Ladder) -> None:
        self.stream.spec = self.stream.spec.model_copy(update={"ladder": new})


def test_a_new_ladder_applies_at_the_next_session() -> None:
    session = Session(720, 480)
    session.publish()
    session.ladder(ladder(720, 360, part_seconds=0.5))
    assert [variant.rendition.name for variant in session.stream.variants()] == ["720p", "480p"]
    assert session.stream.ladder.part_seconds == 0.2
    first = session.stream.renditions["720p"].segments[0].msn
    session.publish()
    assert [variant.rendition.name for variant in session.stream.variants()] == ["720p", "360p"]
    assert set(session.stream.renditions) == {"720p", "360p", "audio"}
    assert session.stream.renditions["720p"].segments[0].msn == first, "what stays goes on"
    assert session.stream.renditions["720p"].part_seconds == 0.5


def test_a_worker_numbers_from_its_first_encode_and_not_from_its_own_start() -> None:
    session = Session(720)
    session.now += 3600
    expected = initial_msn(session.now)
    session.publish()
    assert session.stream.renditions["720p"].segments[0].msn == expected


async def test_who_waits_for_a_stream_that_moves_is_told_at_once() -> None:
    session = Session(720)
    session.publish()
    msn = session.stream.renditions["720p"].open_msn
    waiting = asyncio.create_task(
        session.stream.wait("720p", lambda: session.stream.renditions["720p"].has(msn, 0), 3600)
    )
    await asyncio.sleep(0)
    session.stream.retire()
    assert await waiting is False
    assert not session.stream.expecting
    assert await session.stream.wait("720p", lambda: True, 3600), "what is there can be read"
