"""Entry point: `python -m workloads.transcoder`."""

import asyncio
import contextlib
import logging
import sys

import imageio_ffmpeg

from workloads.common import redis, service
from workloads.common.health import Readiness
from workloads.common.heartbeat import Heartbeat
from workloads.common.mounted import ConfigError
from workloads.common.tokens import Verifier
from workloads.transcoder import app
from workloads.transcoder.config import StreamKey, StreamSpec, TranscoderSettings, load_stream
from workloads.transcoder.metrics import Metrics
from workloads.transcoder.origin import Origin
from workloads.transcoder.publish import Publisher
from workloads.transcoder.stream import Stream
from workloads.transcoder.studio import heartbeat

logger = logging.getLogger(__name__)


def main() -> None:
    """Serve the stream of `HAAT_STREAM_FILE` until SIGTERM; exit status 2 when that file is wrong."""
    settings = TranscoderSettings()
    try:
        if settings.stream_file is None:
            raise ConfigError("HAAT_STREAM_FILE is not set")
        spec = load_stream(settings.stream_file)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    service.run(lambda: _serve(settings, spec), settings)


async def _serve(settings: TranscoderSettings, spec: StreamSpec) -> None:
    stream = Stream(spec, window_seconds=settings.dvr_seconds, max_bytes=settings.max_window_bytes)
    key, metrics, readiness = StreamKey(settings.stream_key_file), Metrics(), Readiness()
    metrics.watch(stream)
    ffmpeg = settings.ffmpeg or imageio_ffmpeg.get_ffmpeg_exe()
    publisher = Publisher(stream, key, settings, ffmpeg, metrics)
    verifier = Verifier(settings.auth_jwks) if settings.auth_jwks else None
    origin = Origin(stream, metrics)
    store = redis.connect(settings.redis_url, retries=0)
    beat = Heartbeat(store, f"transcoder/{spec.stream}/{settings.pod_name}", lambda: heartbeat(stream))
    stream.on_transition = beat.nudge
    beating = asyncio.create_task(beat.run())
    readiness.started = True
    try:
        await service.serve(
            app.build(stream, publisher, origin, key, verifier, readiness, settings.rtmp_url),
            settings,
            readiness,
            on_drain=publisher.close,
        )
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating
        await store.aclose()


if __name__ == "__main__":
    main()
