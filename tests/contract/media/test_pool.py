"""A transcoder pool: streams beside each other on warm workers, moved and rekeyed while they play."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from media_plane import Plane, eventually, numbers, start_redis, write_files
from pool_plane import WORKERS, Broadcast, Pool, clocks, digest, encoder_of

from workloads.common import flv
from workloads.common.tokens import Signer

A, B = WORKERS


@pytest.fixture(scope="module")
def shared_pool(tmp_path_factory: pytest.TempPathFactory, signing_key: str) -> Iterator[Pool]:
    """Ingest, edge and two workers."""
    plane = Plane(tmp_path_factory.mktemp("pool"))
    write_files(plane.folder, Signer(signing_key).jwks())
    try:
        pool = Pool(plane, start_redis(plane))
        for worker in WORKERS:
            pool.launch(worker)
        plane.start("ingest", "edge")
        yield pool
    finally:
        plane.stop()


@pytest.fixture
async def pool(shared_pool: Pool) -> AsyncIterator[Pool]:
    """The pool, without streams before and after."""
    yield shared_pool
    for name in [name for name in shared_pool.plane.processes if name.startswith("source-")]:
        shared_pool.plane.kill(name)
    for key in ("haat:allocations", "haat:streams", "haat:ingest"):
        shared_pool.store.delete(key)


async def status(pool: Pool, worker: str, key: str, content: bytes = b"x") -> tuple[int, str]:
    """What a publisher with this key gets to hear."""
    async with httpx.AsyncClient(timeout=10) as client:
        answer = await client.post(
            f"{pool.url(worker)}/ingest", content=content, headers={"Authorization": f"Bearer {key}"}
        )
    return answer.status_code, answer.json().get("code") or answer.json()["status"]


async def test_a_killed_encoder_is_no_business_of_the_stream_beside_it(pool: Pool, signing_key: str) -> None:
    first, second = await pool.broadcast(A), await pool.broadcast(A)
    before = [numbers(await stream.playlist(2))[-1] for stream in (first, second)]
    beat = pool.beat(A)
    assert (beat["url"], beat["units"], beat["draining"]) == (pool.url(A), 16, False)
    assert {first.id, second.id} <= set(beat["streams"])
    assert '"receiving": true' in str(pool.store.hget("haat:heartbeats", f"transcoder/{second.id}/{A}-0"))
    os.kill(encoder_of(first, A), signal.SIGKILL)
    after = [await stream.newer_than(msn + 2) for stream, msn in zip((first, second), before, strict=True)]
    assert ["#EXT-X-DISCONTINUITY\n" in text for text in after] == [True, False]
    assert (len(first.told(A, "encoder started")), len(second.told(A, "encoder started"))) == (2, 1)
    token = Signer(signing_key).issue(sub="u", name="n", role="host", streams=[first.id], ttl_seconds=60)
    async with httpx.AsyncClient(base_url=pool.plane.edge, headers={"Authorization": f"Bearer {token}"}) as host:
        studio = await host.get(f"/streams/{first.id}/studio")
        other = await host.get(f"/streams/{second.id}/studio")
    assert (studio.status_code, studio.json()["stream_key"], studio.json()["receiving"]) == (200, "", True)
    assert (other.status_code, other.json()["code"]) == (403, "not_host")


async def test_garbage_and_greed_end_alone(pool: Pool) -> None:
    good = await pool.broadcast(A)
    before = numbers(await good.playlist(1))[-1]
    bad, greedy = Broadcast(pool), Broadcast(pool, units=1)
    await pool.place(bad, A)
    await pool.place(greedy, A)
    assert await status(pool, A, bad.key, b"no flv at all") == (400, "not_flv")
    rubbish = b"".join(
        flv.pack_tag(flv.VIDEO, 40 * index, b"\x17\x01\x00\x00\x00" + b"\xfe" * 900) for index in range(200)
    )
    assert (await status(pool, A, bad.key, flv.HEADER + rubbish))[0] in (200, 502)
    greedy.publish()
    await eventually(lambda: asyncio.to_thread(greedy.told, A, "encoder failed"))
    await good.newer_than(before + 2)
    assert len(good.told(A, "encoder started")) == 1
    assert not good.told(A, "publisher gone")


async def test_a_stream_moves_while_its_publisher_goes_on(pool: Pool) -> None:
    stream = await pool.broadcast(A)
    before = await stream.playlist(2)
    encoder = encoder_of(stream, A)
    pool.allocate(stream, B)

    async def left() -> bool:
        return stream.id not in pool.beat(A)["streams"] and stream.id in pool.beat(B)["streams"]

    await eventually(left)
    # The routes still lead to the old worker: it must not make the publisher give up.
    assert await status(pool, A, stream.key) == (503, "moved")
    pool.route(stream, B)
    after = await stream.beginning_after(numbers(before)[-1])
    # The group of pictures that was on its way is sent again, so the two overlap by up to that much.
    after = await stream.newer_than(numbers(after)[-1] + 2)
    assert clocks(after) == sorted(clocks(after))
    assert clocks(after)[-1] > clocks(before)[-1]
    assert len(stream.told("ingest", "publisher accepted")) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(encoder, 0)


async def test_a_key_is_replaced_while_the_session_goes_on(pool: Pool) -> None:
    stream = await pool.broadcast(A)
    before = numbers(await stream.playlist(1))[-1]
    pool.allocate(stream, A, stream.key, "sk-next")

    async def answer(key: str, expected: int) -> bool:
        return (await status(pool, A, key))[0] == expected

    await eventually(lambda: answer("sk-next", 409))
    assert await answer(stream.key, 409)
    pool.store.hdel("haat:ingest", digest(stream.key))
    pool.allocate(stream, A, "sk-next")
    await eventually(lambda: answer(stream.key, 401))
    assert await status(pool, A, "sk-next") == (409, "already_publishing")
    await stream.newer_than(before + 1)
    assert not stream.told(A, "publisher gone")


async def test_a_redis_that_lost_everything_ends_nothing(pool: Pool) -> None:
    stream = await pool.broadcast(B)
    before = numbers(await stream.playlist(1))[-1]
    pool.plane.kill("redis")
    async with httpx.AsyncClient(base_url=pool.url(B), timeout=10) as worker:

        async def grown(msn: int) -> bool:
            answer = await worker.get(f"/hls/{stream.id}/180p/media.m3u8")
            return answer.status_code == 200 and numbers(answer.text)[-1] > msn

        assert await status(pool, B, "sk-unknown") == (503, "no_allocations")
        await eventually(lambda: grown(before + 2))
        start_redis(pool.plane)

        async def beats() -> bool:
            return stream.id in pool.beat(B).get("streams", [])

        await eventually(beats)
        assert (await status(pool, B, "sk-unknown"))[0] == 401, "a read has succeeded, and found nothing"
        await eventually(lambda: grown(before + 4))
    pool.allocate(stream, B)
    assert (await status(pool, B, stream.key))[0] == 409
    assert not stream.told(B, "publisher gone")


async def test_a_draining_worker_keeps_who_publishes_and_ends_with_them(pool: Pool) -> None:
    pool.start("worker-c")
    stream, idle = await pool.broadcast("worker-c"), Broadcast(pool)
    await pool.place(idle, "worker-c")
    before = numbers(await stream.playlist(1))[-1]
    process = pool.plane.processes["worker-c"]
    process.send_signal(signal.SIGTERM)

    async def drains() -> bool:
        beat = pool.beat("worker-c")
        return bool(beat["draining"]) and beat["streams"] == [stream.id]

    await eventually(drains)
    assert await status(pool, "worker-c", idle.key) == (503, "draining")
    await stream.newer_than(before + 1)
    assert process.poll() is None
    pool.plane.kill(f"source-{stream.id.partition('/')[2]}")
    assert await asyncio.to_thread(process.wait, 20) == 0, pool.plane.log("worker-c")[-2000:]
    assert pool.beat("worker-c") == {}
    assert pool.store.hget("haat:heartbeats", f"transcoder/{stream.id}/worker-c-0") is None
