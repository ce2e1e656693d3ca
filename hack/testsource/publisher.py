"""Publishes the scene by ffmpeg to an RTMP server, and again with back-off whenever that ends.

Frames are painted at their due time and stamped at the moment of painting, so a stamp's age at a viewer is the
latency of everything behind the painter. A run that lasted resets the back-off.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from hack.testsource.scene import Scene

_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.5, 5.0
_GOOD_RUN_SECONDS = 10.0
_FRAME_TIMEOUT_SECONDS = 10.0
_TONE = "sine=frequency=220:beep_factor=4:sample_rate=48000,volume=0.4"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Picture:
    """What is published."""

    width: int
    height: int
    fps: int
    video_kbps: int


def command(ffmpeg: str, url: str, picture: Picture) -> list[str]:
    """ffmpeg from raw frames on its standard input to RTMP."""
    return [
        *(ffmpeg, "-hide_banner", "-nostats", "-loglevel", "error"),
        *("-thread_queue_size", "4", "-f", "rawvideo", "-pix_fmt", "yuv420p"),
        *("-s", f"{picture.width}x{picture.height}", "-r", str(picture.fps), "-i", "pipe:0"),
        *("-f", "lavfi", "-i", _TONE),
        *("-map", "0:v", "-map", "1:a", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"),
        *("-x264-params", "threads=1:scenecut=0", "-g", str(picture.fps * 2), "-b:v", f"{picture.video_kbps}k"),
        *("-maxrate", f"{picture.video_kbps}k", "-bufsize", f"{picture.video_kbps}k", "-pix_fmt", "yuv420p"),
        *("-c:a", "aac", "-b:a", "96k", "-ac", "1", "-flvflags", "no_duration_filesize", "-flush_packets", "1"),
        *("-rw_timeout", "10000000", "-rtmp_live", "live", "-f", "flv", url),
    ]


class Publisher:
    """`run` publishes until it is cancelled."""

    def __init__(self, ffmpeg: str, url: str, picture: Picture, clock: Callable[[], float] = time.time) -> None:
        self._ffmpeg = ffmpeg
        self._url = url
        self._picture = picture
        self._clock = clock
        self._scene = Scene(picture.width, picture.height)

    async def run(self) -> None:
        """Publish for ever; each end is logged with its reason."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            reason = await self.publish_once()
            lasted = time.monotonic() - began
            pause = _FIRST_PAUSE_SECONDS if lasted > _GOOD_RUN_SECONDS else min(pause * 2, _MAX_PAUSE_SECONDS)
            logger.warning("publishing ended: %s", reason, extra={"lasted_seconds": round(lasted, 1)})
            await asyncio.sleep(pause * random.uniform(0.5, 1))

    async def publish_once(self) -> str:
        """One connection, until it ends; the reason. On cancellation ffmpeg is killed first."""
        process = await asyncio.create_subprocess_exec(
            *command(self._ffmpeg, self._url, self._picture),
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        words = asyncio.create_task(_last_line(process))
        try:
            await self._feed(process)
        except (OSError, TimeoutError) as error:
            logger.debug("feeding ended: %r", error)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        return await words or f"ffmpeg exit status {process.returncode}"

    async def _feed(self, process: asyncio.subprocess.Process) -> None:
        stdin = process.stdin
        if stdin is None:
            return
        # Without a buffer limit of zero the transport may still hold the frame when the next one is painted over it.
        stdin.transport.set_write_buffer_limits(high=0)
        began, frames = self._clock(), 0
        while True:
            due = began + frames / self._picture.fps
            await asyncio.sleep(max(0.0, due - self._clock()))
            stdin.write(self._scene.frame(self._clock()))
            await asyncio.wait_for(stdin.drain(), _FRAME_TIMEOUT_SECONDS)
            frames += 1


async def _last_line(process: asyncio.subprocess.Process) -> str:
    last = ""
    if process.stderr:
        async for line in process.stderr:
            last = line.decode("utf-8", "replace").strip() or last
    return last
