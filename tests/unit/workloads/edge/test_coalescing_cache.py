"""One fetch for many, with the control that shows what happens without it."""

import asyncio
import gzip

import pytest

from workloads.edge.deliver.cache import CacheFull, CoalescingCache, Entry


class Origin:
    """Counts fetches and answers when it is told to."""

    def __init__(self, body: bytes = b"media", failure: Exception | None = None) -> None:
        self.fetches = 0
        self.release = asyncio.Event()
        self._body = body
        self._failure = failure

    async def fetch(self) -> Entry:
        self.fetches += 1
        await self.release.wait()
        if self._failure:
            raise self._failure
        return Entry(200, self._body, "video/mp4")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def new(max_bytes: int = 10_000, max_pending: int = 10, clock: Clock | None = None) -> CoalescingCache:
    return CoalescingCache(max_bytes, max_pending, clock or Clock())


def ten(_: Entry) -> float:
    return 10.0


async def test_many_viewers_cost_one_fetch() -> None:
    cache, origin = new(), Origin()
    viewers = [asyncio.create_task(cache.get("part", origin.fetch, ten)) for _ in range(100)]
    await asyncio.sleep(0)
    origin.release.set()
    assert {(await viewer).body for viewer in viewers} == {b"media"}
    await cache.get("part", origin.fetch, ten)
    assert origin.fetches == 1
    assert (cache.statistics.misses, cache.statistics.coalesced, cache.statistics.hits) == (1, 99, 1)


async def test_control_without_one_key_every_viewer_costs_a_fetch() -> None:
    cache, origin = new(max_pending=100), Origin()
    origin.release.set()
    await asyncio.gather(*(cache.get(f"part-{index}", origin.fetch, ten) for index in range(100)))
    assert origin.fetches == 100


async def test_a_viewer_that_leaves_does_not_end_the_fetch_of_the_others() -> None:
    cache, origin = new(), Origin()
    first = asyncio.create_task(cache.get("part", origin.fetch, ten))
    second = asyncio.create_task(cache.get("part", origin.fetch, ten))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    origin.release.set()
    assert (await second).body == b"media"
    assert origin.fetches == 1


async def test_failures_reach_everybody_and_are_not_kept() -> None:
    cache, broken = new(), Origin(failure=RuntimeError("away"))
    viewers = [asyncio.create_task(cache.get("part", broken.fetch, ten)) for _ in range(3)]
    await asyncio.sleep(0)
    broken.release.set()
    assert [type(error) for error in await asyncio.gather(*viewers, return_exceptions=True)] == [RuntimeError] * 3
    mended = Origin()
    mended.release.set()
    assert (await cache.get("part", mended.fetch, ten)).body == b"media"


async def test_entries_expire() -> None:
    clock = Clock()
    cache, origin = new(clock=clock), Origin()
    origin.release.set()
    for at, fetches in ((0.0, 1), (9.9, 1), (10.1, 2)):
        clock.now = at
        await cache.get("playlist", origin.fetch, ten)
        assert origin.fetches == fetches
    await cache.get("error", origin.fetch, lambda _: 0.0)
    await cache.get("error", origin.fetch, lambda _: 0.0)
    assert origin.fetches == 4


async def test_memory_is_bounded_and_the_least_used_leaves() -> None:
    cache, origin = new(max_bytes=5000), Origin(bytes(1000))
    origin.release.set()
    for key in ("a", "b", "a", "c", "d"):
        await cache.get(key, origin.fetch, ten)
    assert cache.bytes <= 5000
    assert cache.statistics.evicted == 1
    before = origin.fetches
    await cache.get("a", origin.fetch, ten)
    assert origin.fetches == before
    await cache.get("b", origin.fetch, ten)
    assert origin.fetches == before + 1


async def test_fetches_under_way_are_bounded() -> None:
    cache, origin = new(max_pending=2), Origin()
    waiting = [asyncio.create_task(cache.get(key, origin.fetch, ten)) for key in "ab"]
    await asyncio.sleep(0)
    with pytest.raises(CacheFull):
        await cache.get("c", origin.fetch, ten)
    origin.release.set()
    await asyncio.gather(*waiting)


def test_an_entry_is_compressed_once() -> None:
    entry = Entry(200, b"#EXTM3U\n" * 100, "text/plain")
    assert gzip.decompress(entry.compressed()) == entry.body
    assert entry.compressed() is entry.compressed()
