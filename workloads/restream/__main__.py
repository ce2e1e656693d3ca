"""Entry point: `python -m workloads.restream`."""

import asyncio
import contextlib
import sys

import imageio_ffmpeg
from starlette.applications import Starlette

from workloads.common import health, redis, service
from workloads.common.heartbeat import Heartbeat
from workloads.common.mounted import ConfigError, read_document
from workloads.common.origins import Origins
from workloads.restream.config import RestreamSettings, StreamSpec
from workloads.restream.office import Office


def main() -> None:
    """Send the stream of `HAAT_STREAM_FILE` to every address in `HAAT_TARGETS_DIR`, until SIGTERM."""
    settings = RestreamSettings()
    try:
        if settings.stream_file is None:
            raise ConfigError("HAAT_STREAM_FILE is not set")
        stream = read_document(settings.stream_file, StreamSpec).stream
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)

    async def serve() -> None:
        store = redis.connect(settings.redis_url, retries=1)
        ffmpeg = settings.ffmpeg or imageio_ffmpeg.get_ffmpeg_exe()
        office = Office(stream, settings.targets_dir, ffmpeg, Origins(store))
        beat = Heartbeat(store, f"restream/{stream}/{settings.pod_name}", office.report)
        readiness = health.Readiness()
        readiness.started = True
        working = [asyncio.create_task(office.run()), asyncio.create_task(beat.run())]
        try:
            await service.serve(Starlette(routes=health.routes(readiness)), settings, readiness)
        finally:
            for task in working:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await store.aclose()

    service.run(serve, settings)


if __name__ == "__main__":
    main()
