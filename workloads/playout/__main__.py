"""Entry point: `python -m workloads.playout`."""

import asyncio
import logging
import sys

import imageio_ffmpeg
from starlette.applications import Starlette

from workloads.common import health, redis, service
from workloads.common.heartbeat import Heartbeat
from workloads.common.loops import going_on
from workloads.playout.config import KeyFile, PlayoutSettings
from workloads.playout.metrics import Metrics
from workloads.playout.origin import Origins
from workloads.playout.publisher import LONGEST_SECONDS, Publisher
from workloads.playout.schedule import ScheduleFile
from workloads.playout.switcher import Switcher

WATCH_SECONDS = 1.0

logger = logging.getLogger(__name__)


def main() -> None:
    """Show the schedule of `HAAT_SCHEDULE_FILE` until SIGTERM; exit status 2 when the environment is not complete."""
    settings = PlayoutSettings()
    missing = [
        name for name in ("channel", "schedule_file", "stream_key_file", "rtmp_url") if not getattr(settings, name)
    ]
    if missing:
        sys.stderr.write(f"not set: {', '.join(f'HAAT_{name.upper()}' for name in missing)}\n")
        sys.exit(2)
    service.run(lambda: _serve(settings), settings)


async def _serve(settings: PlayoutSettings) -> None:
    ffmpeg = settings.ffmpeg or imageio_ffmpeg.get_ffmpeg_exe()
    store = redis.connect(settings.redis_url, retries=0)
    key, schedule = KeyFile(settings.stream_key_file), ScheduleFile(settings.schedule_file)
    schedule.refresh()
    metrics = Metrics()
    publisher = Publisher(ffmpeg, settings.rtmp_url, key, metrics)
    origins = Origins(store, public_url=settings.public_url, channel=settings.channel)
    switcher = Switcher(settings, ffmpeg, schedule, origins, publisher.write, metrics)
    beat = Heartbeat(store, f"playout/{settings.channel}/{settings.pod_name}", switcher.state)
    switcher.on_change = beat.nudge

    async def check() -> str | None:
        return None if switcher.on_air is not None and publisher.connected else "nothing is on air"

    readiness = health.Readiness(check)
    readiness.started = True
    loops = (publisher.run(), switcher.run(), beat.run(), _watch(schedule, key, publisher))
    tasks = [asyncio.create_task(loop) for loop in loops]
    serving = asyncio.create_task(service.serve(Starlette(routes=health.routes(readiness)), settings, readiness))
    try:
        await asyncio.wait({serving, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*tasks, serving):
            task.cancel()
        ended = await asyncio.gather(*tasks, serving, return_exceptions=True)
        await store.aclose()
    for error in ended:
        if isinstance(error, Exception):
            raise error


async def _watch(schedule: ScheduleFile, key: KeyFile, publisher: Publisher) -> None:
    """Another schedule is followed at once, another key with a new connection."""
    while going_on():
        await asyncio.sleep(WATCH_SECONDS)
        if schedule.refresh():
            logger.info("another schedule", extra={"programmes": len(schedule.current.programmes)})
        if key.changed() or publisher.age > LONGEST_SECONDS:
            logger.info("publishing anew")
            publisher.restart()


if __name__ == "__main__":
    main()
