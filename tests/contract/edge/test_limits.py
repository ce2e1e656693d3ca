"""Sessions, caps, shedding and metering over a real Redis and several edges."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from redis.asyncio import Redis

from tests.contract.edge.conftest import Edge, publish, running_edge
from tests.contract.edge.keys import Keys
from tests.contract.edge.origin import PART_BYTES, Origin
from tests.support.servers import eventually
from workloads.edge.measure.meter import KEY as METERING


@contextlib.asynccontextmanager
async def two_edges(redis: Redis, root: Path, **settings: object) -> AsyncIterator[tuple[Edge, Edge]]:
    async with (
        running_edge(redis, root, pod_name="edge-1", **settings) as first,
        running_edge(redis, root, pod_name="edge-2", **settings) as second,
    ):
        yield first, second


async def get(edge: Edge, path: str, token: str, device: str) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token or 'none'}", "User-Agent": device}
    async with httpx.AsyncClient(base_url=f"http://{edge.address}") as client:
        found = await client.get(path, headers=headers)
    return found.status_code, "" if found.status_code == 200 else found.json()["code"]


async def test_an_account_has_so_many_sessions_over_all_edges(redis: Redis, origin: Origin, web_root: Path) -> None:
    keys = Keys()
    stream = await publish(redis, origin.url, **keys.rules())
    path, token, other = f"/hls/{stream}/720p/1.0.m4s", keys.token(stream, sub="u7"), keys.token(stream, sub="u8")
    async with two_edges(redis, web_root, edge_account_sessions=1) as (first, second):
        assert (await get(first, path, token, "phone"))[0] == 200
        await first.plane.door.sessions.sync()
        assert (await get(second, path, token, "tv"))[0] == 200

        async def evicted() -> bool:
            await get(second, path, token, "tv")
            return await get(first, path, token, "phone") == (403, "too_many_sessions")

        await eventually(evicted)
        assert (await get(second, path, token, "tv"))[0] == 200, "the newest one stays"
        assert (await get(first, path, other, "phone"))[0] == 200, "another account has its own"


async def test_the_newest_may_be_the_one_that_is_refused(redis: Redis, origin: Origin, web_root: Path) -> None:
    keys = Keys()
    stream = await publish(redis, origin.url, **keys.rules())
    path, token = f"/hls/{stream}/720p/1.0.m4s", keys.token(stream, sub="u9")
    async with two_edges(redis, web_root, edge_account_sessions=1, edge_account_policy="refuse") as (first, second):
        assert (await get(first, path, token, "phone"))[0] == 200
        await first.plane.door.sessions.sync()

        async def refused() -> bool:
            await get(first, path, token, "phone")
            return await get(second, path, token, "tv") == (403, "too_many_sessions")

        await eventually(refused)
        assert (await get(first, path, token, "phone"))[0] == 200


async def test_a_channel_has_so_many_viewers(redis: Redis, origin: Origin, web_root: Path) -> None:
    stream = await publish(redis, origin.url, max_viewers=2)
    path = f"/hls/{stream}/720p/1.0.m4s"
    async with two_edges(redis, web_root) as (first, second):
        assert [await get(first, path, "", name) for name in ("a", "b")] == [(200, "")] * 2
        assert await get(first, path, "", "c") == (503, "channel_full")
        await first.plane.door.sessions.sync()
        await second.plane.door.sessions.sync()
        assert await get(second, path, "", "d") == (503, "channel_full")
        assert await get(first, path, "", "a") == (200, ""), "who is in stays in"
        assert await get(first, path, first.host_token(stream), "e") == (200, ""), "a host always gets in"


async def test_a_viewer_gets_its_share_of_the_line(redis: Redis, origin: Origin, web_root: Path) -> None:
    stream = await publish(redis, origin.url)
    async with running_edge(redis, web_root, edge_viewer_kbps=100) as edge:
        sizes = 0
        async with httpx.AsyncClient(base_url=f"http://{edge.address}") as viewer:
            for index in range(60):
                found = await viewer.get(f"/hls/{stream}/720p/1.{index}.m4s")
                if found.status_code != 200:
                    break
                sizes += len(found.content)
            assert (found.status_code, found.json()["code"]) == (503, "bandwidth_cap")
            assert int(found.headers["retry-after"]) >= 1
            assert sizes < 100_000 / 8 * 30
            assert (await viewer.get(f"/hls/{stream}/master.m3u8")).status_code == 200
        async with httpx.AsyncClient(base_url=f"http://{edge.address}", headers={"User-Agent": "x"}) as another:
            assert (await another.get(f"/hls/{stream}/720p/1.0.m4s")).status_code == 200


async def test_who_watches_is_not_disturbed_when_new_viewers_are_turned_away(
    edge: Edge, viewer: httpx.AsyncClient, redis: Redis, origin: Origin
) -> None:
    base = f"/hls/{await publish(redis, origin.url)}"
    assert (await viewer.get(f"{base}/master.m3u8")).status_code == 200
    edge.plane.door.overload.shedding = True
    edge.plane.door.overload.judge(100.0, 0.0)
    refused = await viewer.get(f"{base}/master.m3u8")
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert int(refused.headers["retry-after"]) >= 2
    for name in ("720p/media.m3u8", "720p/1.0.m4s", "720p/1.0.m4s"):
        assert (await viewer.get(f"{base}/{name}")).status_code == 200


async def test_what_was_sent_is_metered_once(
    edge: Edge, viewer: httpx.AsyncClient, redis: Redis, origin: Origin
) -> None:
    stream = await publish(redis, origin.url)
    for _ in range(5):
        await viewer.get(f"/hls/{stream}/720p/1.0.m4s")
    await edge.plane.meter.flush()
    await edge.plane.meter.flush()
    fields = {key: int(value) for key, value in (await redis.hgetall(METERING)).items() if key.startswith(stream)}
    assert list(fields.values()) == [5 * PART_BYTES]
