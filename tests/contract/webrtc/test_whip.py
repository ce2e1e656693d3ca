"""WHIP with a publisher of other people's making and a real transcoder."""

import asyncio

import httpx
import pytest
from aiortc import AudioStreamTrack, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from media_plane import KEY, STREAM, Plane, eventually
from webrtc_plane import PODS, url, watching

SDP = {"Content-Type": "application/sdp"}


def offer_of(text: str, codec: str) -> str:
    """The offer with one video codec left, the other one renamed."""
    other = "VP8" if codec == "H264" else "H264"
    return text.replace(f"{other}/90000", "none/90000")


async def publish(connection: RTCPeerConnection, base: str, codec: str, path: str = "/whip") -> httpx.Response:
    """Offer the connection's tracks."""
    await connection.setLocalDescription(await connection.createOffer())
    async with httpx.AsyncClient(base_url=base, timeout=10) as client:
        headers = SDP | {"Authorization": f"Bearer {KEY}"} if path == "/whip" else SDP
        return await client.post(path, content=offer_of(connection.localDescription.sdp, codec), headers=headers)


async def go_live(plane: Plane, codec: str) -> None:
    connection = RTCPeerConnection()
    connection.addTrack(VideoStreamTrack())
    connection.addTrack(AudioStreamTrack())
    origin = f"http://127.0.0.1:{plane.ports['transcoder']}"
    try:
        async with httpx.AsyncClient(timeout=15) as client:
            response = await publish(connection, url(plane), codec)
            assert response.status_code == 201, response.text
            second = await publish(RTCPeerConnection(), url(plane), codec, f"/whip/{KEY}")
            assert second.status_code in (400, 422), "an offer without tracks"
            taken = await client.post(
                f"{url(plane, PODS[1])}/whip/{KEY}", content=connection.localDescription.sdp, headers=SDP
            )
            assert (taken.status_code, taken.json()["code"]) == (409, "already_publishing")
            await connection.setRemoteDescription(RTCSessionDescription(response.text, "answer"))

            async def on_the_air() -> bool:
                return (await client.get(f"{origin}/hls/{STREAM}/master.m3u8")).status_code == 200

            await eventually(on_the_air)
            async with watching(url(plane, PODS[1])) as viewer:
                pictures, _ = await asyncio.gather(viewer.pictures(20), viewer.sounds(20))
            assert pictures[-1].height == 360
            assert (await client.delete(url(plane) + response.headers["location"])).status_code == 200

            async def ended() -> bool:
                return not (await client.get(f"{origin}/frames/{STREAM}")).json()["receiving"]

            await eventually(ended)
    finally:
        await connection.close()


async def test_h264_is_passed_on(quiet: Plane) -> None:
    await go_live(quiet, "H264")


@pytest.mark.slow
async def test_vp8_is_converted(quiet: Plane) -> None:
    await go_live(quiet, "VP8")
