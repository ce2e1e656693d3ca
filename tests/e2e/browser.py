"""A headless Chromium, and the clock in the picture read from the page's own video element."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, sync_playwright

from hack.testsource.barcode import COLUMNS, ROWS, STRIP_HEIGHT, decode

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1440, "height": 900}

READ_CELLS = """
([rows, columns, strip]) => {
  const video = document.querySelector('video');
  if (!video || video.readyState < 2 || !video.videoWidth) return null;
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = Math.round(video.videoHeight * strip);
  const context = canvas.getContext('2d', {willReadFrequently: true});
  context.drawImage(video, 0, 0, video.videoWidth, canvas.height, 0, 0, canvas.width, canvas.height);
  const now = Date.now();
  const cells = [];
  for (let row = 0; row < rows; row++) {
    const line = [];
    for (let column = 0; column < columns; column++) {
      const x = Math.round((column + 0.25) * canvas.width / columns);
      const y = Math.round((row + 0.25) * canvas.height / rows);
      const width = Math.max(1, Math.round(0.5 * canvas.width / columns));
      const height = Math.max(1, Math.round(0.5 * canvas.height / rows));
      const data = context.getImageData(x, y, width, height).data;
      let sum = 0;
      for (let i = 0; i < data.length; i += 4) sum += data[i];
      line.push(sum * 4 / data.length);
    }
    cells.push(line);
  }
  return {cells, now, muted: video.muted, time: video.currentTime,
          audio: video.webkitAudioDecodedByteCount || 0, frames: video.getVideoPlaybackQuality().totalVideoFrames};
}
"""


@contextmanager
def page(executable: str, *, viewport: dict[str, int] = PHONE, **options: Any) -> Iterator[Page]:
    """A fresh page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        context = browser.new_context(viewport=viewport, **options)  # type: ignore[arg-type]
        opened = context.new_page()
        opened.set_default_timeout(20_000)
        try:
            yield opened
        finally:
            browser.close()


def read_clock(opened: Page) -> tuple[int, dict[str, Any]] | None:
    """(latency in ms, what the video element says), or None while there is no picture."""
    seen = opened.evaluate(READ_CELLS, [ROWS, COLUMNS, STRIP_HEIGHT])
    if seen is None:
        return None
    try:
        stamp = decode(seen["cells"])
    except ValueError:
        return None
    return seen["now"] - stamp, seen
