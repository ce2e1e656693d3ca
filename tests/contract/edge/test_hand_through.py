"""What the edge hands through: frames over a socket, recordings, growing segments, and the time."""

import asyncio
import datetime
from typing import Any

import httpx
import pytest
import websockets
from redis.asyncio import Redis

from tests.contract.edge.conftest import Edge, publish, running_edge
from tests.contract.edge.keys import Keys
from tests.contract.edge.origin import Origin
from tests.support.servers import eventually, free_port


async def test_frames_go_both_ways(edge: Edge, redis: Redis, origin: Origin) -> None:
    stream = await publish(redis, origin.url)
    async with websockets.connect(f"ws://{edge.address}/push/{stream}") as socket:
        assert [await socket.recv(), await socket.recv()] == ['{"hello": 1}', b"init"]
        await socket.send('{"rung":"720p"}')
        assert await socket.recv() == b'{"rung":"720p"}'
        await socket.send("bye")
        with pytest.raises(websockets.ConnectionClosed) as caught:
            await socket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 4002


async def test_frames_are_refused_as_media_is(edge: Edge, redis: Redis, origin: Origin) -> None:
    keys = Keys()
    closed = await publish(redis, origin.url, **keys.rules())
    away = await publish(redis, f"http://127.0.0.1:{free_port()}")
    idle = await publish(redis, "")
    for stream, status in ((closed, 403), (away, 503), (idle, 503), ("shop/nobody", 404), ("shop/No_Name", 404)):
        with pytest.raises(websockets.InvalidStatus) as caught:
            await websockets.connect(f"ws://{edge.address}/push/{stream}")
        assert caught.value.response.status_code == status, stream
    async with websockets.connect(f"ws://{edge.address}/push/{closed}?token={keys.token(closed)}") as socket:
        assert await socket.recv() == '{"hello": 1}'
        await socket.send("x" * 5000)
        assert await socket.recv() == b"init"
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1009


async def test_recordings_come_from_the_recorder(redis: Redis, origin: Origin, web_root: Any) -> None:
    keys = Keys()
    async with running_edge(redis, web_root, recorder_url=origin.url) as edge:
        base = f"http://{edge.address}"
        async with httpx.AsyncClient(base_url=base) as viewer:
            stream, closed = await publish(redis, origin.url), await publish(redis, origin.url, **keys.rules())
            whole = await viewer.get(f"/vod/{stream}/r1/720p/1.m4s")
            assert (whole.status_code, len(whole.content)) == (200, 300_000)
            piece = await viewer.get(f"/vod/{stream}/r1/720p/1.m4s", headers={"Range": "bytes=0-1"})
            assert (piece.status_code, piece.headers["content-range"]) == (206, "bytes 0-1/100")
            assert (await viewer.head(f"/thumbs/{stream}/latest.jpg")).headers["content-length"] == "300000"
            path = f"/vod/{closed}/r1/master.m3u8"
            assert (await viewer.get(path)).status_code == 403
            token = keys.token(closed)
            shown = await viewer.get(f"{path}?token={token}&from_ms=5")
            assert (shown.status_code, f"1.0.m4s?token={token}" in shown.text) == (200, True)
            assert f"Path=/vod/{closed};" in shown.headers["set-cookie"]
            assert shown.headers["cache-control"] == "private, max-age=1"
            assert origin.asked[f"{path}?from_ms=5"] == 1, "no token reaches the recorder"
            order = await viewer.post("/api/v1/clips", json={"stream": stream}, headers={"Authorization": "Bearer t"})
            assert (order.status_code, order.headers["location"]) == (202, "/api/v1/clips/c1")
            assert origin.headers["/api/v1/clips"]["authorization"] == "Bearer t"
            for wrong in (
                "/vod/shop/../x",
                "/vod/SHOP/x/y",
                "/vod/shop",
                f"/vod/{stream}/%0d%0a",
                "/api/v1/clips/a/b",
            ):
                assert (await viewer.get(httpx.URL(base).copy_with(raw_path=wrong.encode()))).status_code == 404, wrong
            assert (await viewer.post(f"/vod/{stream}/r1/x")).status_code == 405
            assert (await viewer.post("/api/v1/clips", content=bytes(70_000))).status_code == 413


async def test_without_a_recorder_there_are_no_recordings(
    viewer: httpx.AsyncClient, redis: Redis, origin: Origin, web_root: Any
) -> None:
    stream = await publish(redis, origin.url)
    nothing = await viewer.get(f"/vod/{stream}/r1/master.m3u8")
    assert (nothing.status_code, nothing.json()["code"]) == (404, "no_recordings")
    async with running_edge(redis, web_root, recorder_url=f"http://127.0.0.1:{free_port()}") as edge:
        away = await asyncio.to_thread(httpx.get, f"http://{edge.address}/thumbs/{stream}/latest.jpg")
        assert (away.status_code, away.json()["code"]) == (503, "recorder_away")


async def test_a_growing_segment_is_fetched_once_and_reaches_everybody_as_it_comes(
    edge: Edge, redis: Redis, origin: Origin
) -> None:
    stream = await publish(redis, origin.url)
    path, arrived = f"/hls/{stream}/720p/9.m4s", []

    async def watch() -> bytes:
        body = b""
        async with (
            httpx.AsyncClient(base_url=f"http://{edge.address}") as client,
            client.stream("GET", path) as response,
        ):
            async for piece in response.aiter_raw():
                body += piece
                arrived.append(piece)
        return body

    viewers = [asyncio.create_task(watch()) for _ in range(5)]
    await eventually(lambda: len(arrived) == 5)
    assert arrived == [b"first"] * 5
    late = asyncio.create_task(watch())
    await eventually(lambda: len(arrived) == 6)
    origin.grow.set()
    assert {await viewer for viewer in (*viewers, late)} == {b"firstsecond"}
    assert await watch() == b"firstsecond"
    assert origin.asked[path] == 1
    assert edge.plane.cache.bytes > len(b"firstsecond")


async def test_a_growing_segment_that_breaks_off_is_never_whole(edge: Edge, redis: Redis, origin: Origin) -> None:
    stream = await publish(redis, origin.url)
    path, origin.cut = f"/hls/{stream}/720p/9.m4s", True
    origin.grow.set()
    async with httpx.AsyncClient(base_url=f"http://{edge.address}") as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(path)
        origin.cut = False
        assert (await client.get(path)).content == b"firstsecond"


async def test_the_time(viewer: httpx.AsyncClient) -> None:
    found = await viewer.get("/time")
    stamp = datetime.datetime.fromisoformat(found.text)
    assert abs((datetime.datetime.now(datetime.UTC) - stamp).total_seconds()) < 60
    assert found.headers["access-control-allow-origin"] == "*"
