"""Chromium as viewer and as publisher."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from media_plane import KEY, RUNGS, STREAM, Plane, eventually
from playwright.async_api import Page, async_playwright
from webrtc_plane import PODS, url, watching

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
]

WATCH = """
async (address) => {
  const connection = window.connection = new RTCPeerConnection();
  const stream = new MediaStream();
  connection.ontrack = (event) => stream.addTrack(event.track);
  connection.addTransceiver('video', {direction: 'recvonly'});
  connection.addTransceiver('audio', {direction: 'recvonly'});
  await connection.setLocalDescription(await connection.createOffer());
  const began = performance.now();
  const response = await fetch(address, {
    method: 'POST', headers: {'Content-Type': 'application/sdp'}, body: connection.localDescription.sdp});
  if (response.status !== 201) throw new Error(await response.text());
  await connection.setRemoteDescription({type: 'answer', sdp: await response.text()});
  const video = document.createElement('video');
  video.autoplay = true;
  video.srcObject = stream;
  document.body.append(video);
  await new Promise((done) => video.requestVideoFrameCallback(done));
  const first = performance.now() - began;
  return {first, offer: connection.localDescription.sdp, location: response.headers.get('Location'),
          etag: response.headers.get('ETag')};
}
"""

PUBLISH = """
async ([address, key, codec]) => {
  const connection = window.connection = new RTCPeerConnection();
  const media = await navigator.mediaDevices.getUserMedia({audio: true, video: {width: 640, height: 360}});
  for (const track of media.getTracks()) {
    const transceiver = connection.addTransceiver(track, {direction: 'sendonly', streams: [media]});
    if (track.kind === 'video')
      transceiver.setCodecPreferences(RTCRtpSender.getCapabilities('video').codecs.filter(
        (item) => item.mimeType === codec || item.mimeType === 'video/rtx'));
  }
  await connection.setLocalDescription(await connection.createOffer());
  const response = await fetch(address, {
    method: 'POST', body: connection.localDescription.sdp,
    headers: {'Content-Type': 'application/sdp', Authorization: `Bearer ${key}`}});
  if (response.status !== 201) throw new Error(await response.text());
  await connection.setRemoteDescription({type: 'answer', sdp: await response.text()});
  return {offer: connection.localDescription.sdp, location: response.headers.get('Location')};
}
"""

STATE = """
async () => {
  const video = document.querySelector('video');
  const tracks = {};
  for (const item of (await window.connection.getStats()).values())
    if (item.type === 'inbound-rtp' || item.type === 'outbound-rtp') tracks[item.kind] = {...item};
  return {width: video?.videoWidth, height: video?.videoHeight, time: video?.currentTime, tracks,
          state: window.connection.connectionState};
}
"""


@asynccontextmanager
async def page(base: str) -> AsyncIterator[Page]:
    """A page of the pod's own origin, where cameras are allowed."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("Chromium is not installed: the browser is NOT TESTED here")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        opened = await browser.new_page()
        opened.set_default_timeout(20_000)
        try:
            await opened.goto(f"{base}/healthz")
            yield opened
        finally:
            await browser.close()


async def test_chromium_plays_picture_and_sound(live: Plane) -> None:
    async with page(url(live)) as opened:
        began = await opened.evaluate(WATCH, f"/whep/{STREAM}")
        await opened.wait_for_timeout(1500)
        early = await opened.evaluate(STATE)
        await opened.wait_for_timeout(2000)
        late = await opened.evaluate(STATE)
    assert late["state"] == "connected"
    assert (late["width"], late["height"]) == RUNGS[0][1:3]
    assert late["time"] > early["time"] + 1
    assert late["tracks"]["video"]["framesDecoded"] > early["tracks"]["video"]["framesDecoded"] + 25
    assert late["tracks"]["audio"]["totalAudioEnergy"] > early["tracks"]["audio"]["totalAudioEnergy"]
    # Sender reports came, or there would be no playout time on the sender's clock.
    assert late["tracks"]["video"]["estimatedPlayoutTimestamp"] > 0
    assert began["location"].startswith("/whep/sessions/")
    assert began["etag"]


@pytest.mark.parametrize("codec", ["video/H264", "video/VP8"])
async def test_chromium_publishes(quiet: Plane, codec: str) -> None:
    plane = quiet
    origin = f"http://127.0.0.1:{plane.ports['transcoder']}"
    async with page(url(plane)) as opened, httpx.AsyncClient(timeout=15) as client:
        began = await opened.evaluate(PUBLISH, ["/whip", KEY, codec])
        second = await client.post(
            f"{url(plane, PODS[1])}/whip/{KEY}",
            content=began["offer"],
            headers={"Content-Type": "application/sdp"},
        )
        assert second.status_code == 409

        async def on_the_air() -> bool:
            return (await client.get(f"{origin}/hls/{STREAM}/master.m3u8")).status_code == 200

        await eventually(on_the_air)
        async with watching(url(plane, PODS[1])) as viewer:
            pictures, sounds = await asyncio.gather(viewer.pictures(60), viewer.sounds(60))
        assert pictures[-1].height == 360
        assert len({picture.to_ndarray(format="gray").tobytes() for picture in pictures}) > 10
        assert max(abs(sound.to_ndarray()).max() for sound in sounds) > 100
        deleted = await client.delete(url(plane, PODS[1]) + began["location"])
        assert deleted.status_code == 200

        async def ended() -> bool:
            return not (await client.get(f"{origin}/frames/{STREAM}")).json()["receiving"]

        await eventually(ended)
