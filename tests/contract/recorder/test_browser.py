"""hls.js in Chromium plays what was recorded, and rewinds what is being recorded."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from media_plane import ROOT, Publisher
from playwright.async_api import Page, async_playwright
from recorder_plane import Broadcast, Studio, durations

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HLS = ROOT / "workloads" / "web" / "node_modules" / "hls.js" / "dist" / "hls.js"
FLAGS = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
LOAD = """
async (source) => {
  const video = document.createElement('video');
  video.muted = true;
  document.body.append(video);
  const problems = window.problems = [];
  const hls = window.hls = new Hls({enableWorker: false});
  hls.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) problems.push(data.details); });
  hls.loadSource(source);
  hls.attachMedia(video);
  await new Promise((done) => hls.once(Hls.Events.LEVEL_LOADED, done));
  await video.play();
}
"""
STATE = """
() => {
  const video = document.querySelector('video');
  return {time: video.currentTime, duration: video.duration, ended: video.ended, width: video.videoWidth,
          seekable: video.seekable.length ? [video.seekable.start(0), video.seekable.end(0)] : [0, 0],
          problems: window.problems, frames: video.getVideoPlaybackQuality().totalVideoFrames};
}
"""
SEEK = "(at) => { document.querySelector('video').currentTime = at; }"


@asynccontextmanager
async def player(base: str) -> AsyncIterator[Page]:
    """A page with hls.js."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None or not HLS.exists():
        pytest.skip("Chromium or hls.js is not installed: the browser is NOT TESTED here")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        page = await browser.new_page()
        page.set_default_timeout(20_000)
        try:
            await page.goto(f"{base}/healthz")
            await page.add_script_tag(path=str(HLS))
            yield page
        finally:
            await browser.close()


async def test_a_replay_plays_over_the_pause_to_its_end(recorded: Broadcast) -> None:
    whole = recorded.item["duration_ms"] / 1000
    first = sum(durations(recorded.playlist("360p").split("#EXT-X-DISCONTINUITY\n")[0]))
    async with player(recorded.studio.base) as page:
        await page.evaluate(LOAD, recorded.item["master"])
        await page.wait_for_function("() => document.querySelector('video').currentTime > 1")
        state = await page.evaluate(STATE)
        assert state["duration"] == pytest.approx(whole, abs=0.5)
        assert state["width"] in (640, 320)
        # Over the place where the publisher came back.
        await page.evaluate(SEEK, first - 1)
        await page.wait_for_function(f"() => document.querySelector('video').currentTime > {first + 1}")
        await page.evaluate(SEEK, whole - 2)
        await page.wait_for_function("() => document.querySelector('video').ended")
        state = await page.evaluate(STATE)
        assert state["problems"] == []
        assert state["frames"] > 50


async def test_a_viewer_rewinds_what_is_live(local: Studio) -> None:
    local.start_recorder()
    Publisher(local.plane)
    local.enter("Live")
    local.broadcast(12)
    (item,) = local.recordings()
    assert item["state"] == "recording"
    async with player(local.base) as page:
        await page.evaluate(LOAD, item["master"])
        await page.wait_for_function("() => document.querySelector('video').currentTime > 1")
        await page.evaluate(SEEK, 0.5)
        await page.wait_for_function(
            "() => { const t = document.querySelector('video').currentTime; return t > 2 && t < 6; }"
        )
        early = await page.evaluate(STATE)
        await page.wait_for_timeout(3000)
        late = await page.evaluate(STATE)
    assert late["seekable"][1] > early["seekable"][1] + 1, "it grows"
    assert late["problems"] == []
