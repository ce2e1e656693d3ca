"""Quality of playback from player to Redis and Prometheus."""

import json

import httpx
from redis.asyncio import Redis

from tests.contract.edge.conftest import Edge, publish
from tests.contract.edge.origin import Origin
from workloads.edge.measure.quality import KEY
from workloads.edge.serve.beacons import QOE_PATH


async def test_beacons_are_rolled_up(edge: Edge, viewer: httpx.AsyncClient, redis: Redis, origin: Origin) -> None:
    stream = await publish(redis, origin.url)
    body = {"stream": stream, "session": "s1", "startup_ms": 250, "watched_ms": 9000, "stalls": 1, "stall_ms": 1000}
    text = {"Content-Type": "text/plain"}
    assert (await viewer.post(QOE_PATH, content=json.dumps(body), headers=text)).status_code == 204
    await edge.plane.quality.roll_up()
    found = json.loads(str(await redis.hget(KEY, f"{stream} local")))
    assert (found["players"], found["startup_p50_ms"], found["stall_ratio"]) == (1, 250, 0.1)
    assert edge.registry.get_sample_value("haat_qoe_stalls_total", {"stream": stream}) == 1
    asked = await viewer.options(QOE_PATH, headers={"Origin": "https://shop.example"})
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, "*")


async def test_nonsense_is_refused(viewer: httpx.AsyncClient, redis: Redis, origin: Origin) -> None:
    stream = await publish(redis, origin.url)
    cases = {
        json.dumps({"stream": "shop/nobody"}): 404, json.dumps({"stream": "../x"}): 404, "[]": 422, "{": 400,
        json.dumps({"stream": stream, "stalls": -1}): 422, json.dumps({"stream": stream, "x": 1}): 422,
        json.dumps({"stream": stream, "session": "x" * 5000}): 413, "[" * 4000: 400,
    }  # fmt: skip
    for body, status in cases.items():
        assert (await viewer.post(QOE_PATH, content=body)).status_code == status, body[:50]


async def test_what_players_tell_with_requests_counts_and_reaches_no_origin(
    edge: Edge, viewer: httpx.AsyncClient, redis: Redis, origin: Origin
) -> None:
    stream = await publish(redis, origin.url)
    path = f"/hls/{stream}/720p/1.0.m4s"
    for index in range(4):
        assert (await viewer.get(f"{path}?CMCD=br%3D1400%2Cbs%2Cbl%3D{index}00")).status_code == 200
    for _ in range(2):
        headers = {"CMCD-Object": "br=1400", "CMCD-Status": "bs"}
        assert (await viewer.get(path, headers=headers)).status_code == 200
    labels = {"stream": stream}
    assert edge.registry.get_sample_value("haat_qoe_starved_total", labels) == 6
    assert edge.registry.get_sample_value("haat_qoe_bitrate_kbps_count", labels) == 6
    assert origin.asked == {path: 1}
