"""WHEP with a viewer of other people's making, a real transcoder and a real publisher."""

import asyncio
import itertools
import random
import re
import socket
import time
from pathlib import Path

import httpx
import pytest
from aiortc import RTCPeerConnection
from lossy import lossy
from media_plane import RUNGS, STREAM, Plane, Publisher, eventually, wait_for
from webrtc_plane import PODS, Watching, counter, offer, running_plane, start_pods, url, watching

from hack.testsource import barcode

SDP = {"Content-Type": "application/sdp"}


async def clock(viewer: Watching) -> int:
    """The stamp that the publisher burned into the next picture."""
    (picture,) = await viewer.pictures(1)
    return barcode.read(picture.to_ndarray(format="gray"))


async def an_offer() -> str:
    connection = RTCPeerConnection()
    try:
        return await offer(connection)
    finally:
        await connection.close()


async def test_a_viewer_sees_and_hears(live: Plane) -> None:
    async with watching(url(live)) as viewer:
        pictures, sounds = await asyncio.gather(viewer.pictures(30), viewer.sounds(40))
        assert (pictures[-1].width, pictures[-1].height) == RUNGS[0][1:3]
        assert sounds[-1].sample_rate == 48_000
        assert max(abs(sound.to_ndarray()).max() for sound in sounds) > 100
        first = await clock(viewer)
        await viewer.pictures(25)
        second = await clock(viewer)
    assert 800 <= second - first <= 1500, "a second of pictures is a second of the publisher's clock"
    assert abs(time.time() * 1000 - second) < 5000
    assert "h264" in viewer.answer.lower()
    assert viewer.headers["etag"]
    assert "Location" in viewer.headers["access-control-expose-headers"]


async def test_a_viewer_may_stay_on_a_rung(live: Plane) -> None:
    async with watching(url(live), f"/whep/{STREAM}?rung=180p") as viewer:
        (picture,) = (await viewer.pictures(10))[-1:]
    assert picture.height == 180


@pytest.mark.slow
async def test_lost_packets_come_again(live: Plane) -> None:
    dice = random.Random(7)
    before = await counter(url(live), "haat_webrtc_resent_total")

    async with (
        lossy(lambda data: data[1] & 0x7F not in (98, 100) and dice.random() < 0.05) as (rewrite, relay),
        watching(url(live), rewrite=rewrite) as viewer,
    ):
        assert "rtx/90000" in viewer.answer
        pictures = await viewer.pictures(120)
        stamps = [round(picture.time * 1000) for picture in pictures[40:]]
    assert relay.lost > 5
    assert await counter(url(live), "haat_webrtc_resent_total") > before
    gaps = [after - earlier for earlier, after in itertools.pairwise(stamps)]
    assert max(gaps) < 500, "what was lost came again before the decoder gave up"


@pytest.mark.slow
async def test_an_outage_is_mended_at_once(live: Plane) -> None:
    dark = asyncio.Event()
    async with lossy(lambda _: dark.is_set()) as (rewrite, relay), watching(url(live), rewrite=rewrite) as viewer:
        await viewer.pictures(20)
        dark.set()
        await asyncio.sleep(1.0)
        dark.clear()
        assert relay.lost > 25
        began = time.monotonic()
        while abs(time.time() * 1000 - await clock(viewer)) > 800:
            assert time.monotonic() - began < 5, "the picture stays behind"
        await viewer.pictures(25)


@pytest.mark.slow
async def test_viewers_outlive_a_transcoder(tmp_path: Path) -> None:
    with running_plane(tmp_path) as plane:
        Publisher(plane)
        origin = f"http://127.0.0.1:{plane.ports['transcoder']}"
        wait_for(lambda: httpx.get(f"{origin}/hls/{STREAM}/master.m3u8", timeout=10).status_code == 200)
        async with watching(url(plane)) as viewer:
            before = await clock(viewer)
            plane.kill("transcoder")
            await asyncio.to_thread(plane.start, "transcoder")
            began = time.monotonic()
            while time.time() * 1000 - (late := await clock(viewer)) > 2000 or late - before < 3000:
                assert time.monotonic() - began < 20, "the picture does not come back"
            await viewer.sounds(20)


async def test_any_pod_serves_the_stream_and_takes_every_request_about_it(live: Plane) -> None:
    async with watching(url(live, PODS[0])) as first, watching(url(live, PODS[1])) as second:
        await asyncio.gather(first.pictures(10), second.pictures(10))
        assert first.location.startswith(f"/whep/sessions/{PODS[0]}-0~")
        ports = {re.findall(r"m=video (\d+)", text)[0] for text in (first.answer, second.answer)}
        assert len(ports) == 2, "each pod tells its own candidate"
        async with httpx.AsyncClient(base_url=url(live, PODS[1]), timeout=10) as other:
            fragment = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": first.headers["etag"]}
            body = "a=ice-ufrag:x\r\na=ice-pwd:y\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=end-of-candidates\r\n"
            assert (await other.patch(first.location, content=body, headers=fragment)).status_code == 204
            wrong = fragment | {"If-Match": '"other"'}
            assert (await other.patch(first.location, content=body, headers=wrong)).status_code == 412
            assert (await other.delete(first.location)).status_code == 200
            assert (await other.delete(first.location)).status_code == 404
        await second.pictures(10)


async def test_an_ended_session_frees_its_place(live: Plane) -> None:
    base = url(live, PODS[1])

    async def viewers() -> float:
        return await counter(base, "haat_webrtc_viewers")

    before = await viewers()
    async with watching(base) as viewer, httpx.AsyncClient(base_url=base, timeout=10) as client:
        await viewer.pictures(3)
        assert await viewers() == before + 1
        assert (await client.delete(viewer.location)).status_code == 200
        assert await viewers() == before

    async with watching(base) as viewer:
        await viewer.pictures(3)

    async def left() -> bool:
        return await viewers() == before

    await eventually(left)


async def test_a_full_pod_says_when_to_come_again(live: Plane) -> None:
    start_pods(live, "webrtc-small", HAAT_WEBRTC_MAX_VIEWERS="1")
    base = url(live, "webrtc-small")
    try:
        async with watching(base) as viewer, httpx.AsyncClient(base_url=base, timeout=10) as client:
            await viewer.pictures(3)
            response = await client.post(f"/whep/{STREAM}", content=await an_offer(), headers=SDP)
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) > 0
            assert response.json()["code"] == "too_many_viewers"
    finally:
        live.kill("webrtc-small")


@pytest.mark.parametrize(
    ("path", "change", "headers", "status", "code"),
    [
        pytest.param(f"/whep/{STREAM}", None, {"Content-Type": "text/plain"}, 415, "unsupported_media_type", id="type"),
        pytest.param(f"/whep/{STREAM}", ("v=0", "v=9"), SDP, 400, "invalid_sdp", id="no description"),
        pytest.param(f"/whep/{STREAM}", ("H264", "H265"), SDP, 406, "no_common_codec", id="no H.264"),
        pytest.param(f"/whep/{STREAM}", ("recvonly", "sendonly"), SDP, 422, "unusable_offer", id="direction"),
        pytest.param("/whep/shop/nobody", None, SDP, 404, "unknown_stream", id="unknown stream"),
        pytest.param("/whep/shop/idle", None, SDP, 404, "not_live", id="not live"),
        pytest.param("/whep/shop/..", None, SDP, 404, "not_found", id="no name"),
        pytest.param(f"/whep/{STREAM}?rung=9000p", None, SDP, 404, "unknown_rung", id="unknown rung"),
        pytest.param("/whip/wrong-key", ("recvonly", "sendonly"), SDP, 401, "stream_key", id="wrong key"),
        pytest.param("/whip", ("recvonly", "sendonly"), SDP, 401, "stream_key", id="no key"),
    ],
)
async def test_refusals_say_why(
    live: Plane, path: str, change: tuple[str, str] | None, headers: dict[str, str], status: int, code: str
) -> None:
    text = await an_offer()
    async with httpx.AsyncClient(base_url=url(live), timeout=10) as client:
        response = await client.post(path, content=text.replace(*change) if change else text, headers=headers)
    assert (response.status_code, response.json()["code"]) == (status, code)
    if code == "not_live":
        assert response.headers["retry-after"]


async def test_a_page_of_another_origin_may_ask(live: Plane) -> None:
    preflight = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    async with httpx.AsyncClient(base_url=url(live), timeout=10) as client:
        response = await client.options(f"/whep/{STREAM}", headers=preflight)
        assert response.status_code == 204
        assert "POST" in response.headers["access-control-allow-methods"]
        refused = await client.post(f"/whep/{STREAM}", content="x", headers=SDP)
    assert refused.headers["access-control-allow-origin"] == "*"


async def test_garbage_is_harmless(live: Plane) -> None:
    dice = random.Random(3)
    async with watching(url(live)) as viewer, httpx.AsyncClient(base_url=url(live), timeout=10) as client:
        await viewer.pictures(3)
        port = int(re.findall(r"m=video (\d+)", viewer.answer)[0])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for size in [0, 1, 12, 20, 28, 200, 1200] * 60:
                head = dice.choice(
                    [b"", b"\x00\x01", b"\x16\xfe\xfd", b"\x80\x66", b"\x80\xc9", b"\x00\x01\x00\x08\x21\x12\xa4\x42"]
                )
                stranger.sendto(head + dice.randbytes(size), ("127.0.0.1", port))
        large = await client.post(f"/whep/{STREAM}", content=b"x" * 200_000, headers=SDP)
        assert large.status_code == 413
        for _ in range(30):
            response = await client.post(f"/whep/{STREAM}", content=dice.randbytes(300), headers=SDP)
            assert response.status_code == 400
        # A name that leads to no pod, and one that pretends to.
        for name in ("x", "webrtc-b-0~" + "a" * 32, "nowhere~" + "b" * 32, "..%2f..~" + "c" * 32):
            assert (await client.delete(f"/whep/sessions/{name}")).status_code == 404
        await viewer.pictures(30)
    assert await counter(url(live), "haat_webrtc_packets_unknown") > 100


async def test_frames_are_pushed_as_they_leave_the_encoder(live: Plane) -> None:
    origin = f"http://127.0.0.1:{live.ports['transcoder']}"
    async with httpx.AsyncClient(base_url=origin, timeout=10) as client:
        described = (await client.get(f"/frames/{STREAM}")).json()
        assert [rung["name"] for rung in described["rungs"]] == [rung[0] for rung in RUNGS]
        assert described["receiving"]
        assert described["audio"]
        assert (await client.get(f"/frames/{STREAM}/none")).status_code == 404
        assert (await client.get("/frames/shop/other/360p")).status_code == 404
        assert (await client.post(f"/frames/{STREAM}/360p")).status_code == 405
        got = b""
        async with client.stream("GET", f"/frames/{STREAM}/360p") as response:
            async for data in response.aiter_raw():
                got += data
                if got.count(b"moof") > 30:
                    break
    assert got[4:8] == b"ftyp"
