"""The live end of a rendition: readers begin at the latest key frame, and slow ones are cut."""

import asyncio

import pytest
from media_builders import AUDIO_INIT, VIDEO_INIT, frame

from workloads.transcoder.package.feed import MAX_LAG_SECONDS, Feed, FeedEnded, Piece, Subscription


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def feed(*, video: bool = True, clock: Clock | None = None) -> Feed:
    made = Feed(video=video, clock=clock or Clock())
    made.add_init(VIDEO_INIT if video else AUDIO_INIT)
    return made


def add(target: Feed, *times: float, key: float = -1.0) -> None:
    for time in times:
        target.add(frame(time, 0.04, sync=time == key))


async def starts(subscription: Subscription) -> list[float]:
    return [round(piece.start, 2) for piece in await subscription.next() if not piece.init]


async def test_a_reader_begins_at_the_latest_key_frame_and_goes_on() -> None:
    source = feed()
    add(source, 1.0, 1.04, 1.08, key=1.0)
    add(source, 2.0, 2.04, key=2.0)
    subscription = source.subscribe()
    pieces = await subscription.next()
    assert pieces[0] == Piece(VIDEO_INIT.data, init=True)
    assert [(piece.independent, round(piece.start, 2)) for piece in pieces[1:]] == [(True, 2.0), (False, 2.04)]
    add(source, 2.08)
    assert await starts(subscription) == [2.08]


async def test_all_readers_get_the_same_bytes() -> None:
    source = feed()
    first, second = source.subscribe(), source.subscribe()
    add(source, 1.0, key=1.0)
    assert (await first.next())[-1] is (await second.next())[-1]


async def test_sound_begins_a_moment_ago() -> None:
    source = feed(video=False)
    add(source, *[index / 50 for index in range(50)])
    assert len(await starts(source.subscribe())) == 8


async def test_a_reader_that_falls_behind_is_cut_and_others_are_not() -> None:
    clock = Clock()
    source = feed(clock=clock)
    slow, good = source.subscribe(), source.subscribe()
    for index in range(80):
        clock.now = index / 25
        add(source, index / 25, key=0.0)
        await good.next()
    assert clock.now > MAX_LAG_SECONDS
    assert slow.cut.is_set()
    with pytest.raises(FeedEnded, match="behind"):
        await slow.next()
    assert not good.cut.is_set()
    assert source.readers == 1


async def test_the_end_comes_after_what_is_unread() -> None:
    source = feed()
    add(source, 1.0, key=1.0)
    subscription = source.subscribe()
    source.close()
    assert await starts(subscription) == [1.0]
    with pytest.raises(FeedEnded, match="rendition ended"):
        await subscription.next()


async def test_whoever_waits_hears_of_the_end() -> None:
    source = Feed(video=True)
    waiting = asyncio.create_task(source.subscribe().next())
    await asyncio.sleep(0)
    source.close()
    with pytest.raises(FeedEnded):
        await waiting


async def test_nobody_begins_with_what_an_earlier_encoder_left() -> None:
    source = feed()
    add(source, 1.0, key=1.0)
    source.begin()
    subscription = source.subscribe()
    source.add_init(VIDEO_INIT)
    add(source, 5.0, key=5.0)
    assert await starts(subscription) == [5.0]
