"""Entry point: `python -m workloads.transcoder`."""

import sys
from pathlib import Path

import imageio_ffmpeg

from workloads.common import redis, service
from workloads.common.health import Readiness
from workloads.common.mounted import ConfigError
from workloads.common.tokens import Verifier
from workloads.transcoder.config import StreamKey, StreamSpec, TranscoderSettings, load_stream
from workloads.transcoder.encode.hardware import VAAPI_DEVICE, EncoderUnavailable, Hardware, choose, parse
from workloads.transcoder.hosted import Hosted, Solo, Streams, Tools
from workloads.transcoder.metrics import Metrics
from workloads.transcoder.pool.worker import Worker
from workloads.transcoder.serve import app

WEBSOCKETS = "websockets-sansio"


def main() -> None:
    """Serve the stream of `HAAT_STREAM_FILE`, or those that `HAAT_POOL` is given, until SIGTERM; exit status 2 when
    that file is wrong."""
    settings = TranscoderSettings()
    ffmpeg = settings.ffmpeg or imageio_ffmpeg.get_ffmpeg_exe()
    try:
        spec = _spec(settings)
        hardware = choose(ffmpeg, parse(settings.encoder), _candidates())
    except (ConfigError, EncoderUnavailable) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    service.run(lambda: _serve(settings, spec, ffmpeg, hardware), settings)


def _candidates() -> list[Hardware]:
    """Encoders whose device this pod has."""
    devices = {Hardware.NVENC: "/dev/nvidia0", Hardware.VAAPI: VAAPI_DEVICE}
    return [hardware for hardware, device in devices.items() if Path(device).exists()]


def _spec(settings: TranscoderSettings) -> StreamSpec | None:
    """The stream of a pod that serves one; None for a worker of a pool."""
    if settings.pool and settings.stream_file:
        raise ConfigError("HAAT_POOL and HAAT_STREAM_FILE exclude each other")
    if settings.pool:
        return None
    if settings.stream_file is None:
        raise ConfigError("neither HAAT_STREAM_FILE nor HAAT_POOL is set")
    return load_stream(settings.stream_file)


async def _serve(settings: TranscoderSettings, spec: StreamSpec | None, ffmpeg: str, hardware: Hardware) -> None:
    store = redis.connect(settings.redis_url, retries=0)
    tools = Tools(settings, ffmpeg, Metrics(), store, hardware)
    try:
        await (_serve_pool(tools) if spec is None else _serve_one(tools, spec))
    finally:
        await store.aclose()


async def _serve_one(tools: Tools, spec: StreamSpec) -> None:
    key, readiness = StreamKey(tools.settings.stream_key_file), Readiness()
    hosted = Hosted(spec, tools, own_key=key.own)
    hosted.start()
    readiness.started = True
    try:
        await service.serve(
            _app(Solo(hosted, key), tools.settings, readiness),
            tools.settings,
            readiness,
            on_drain=hosted.publisher.close,
            ws=WEBSOCKETS,
        )
    finally:
        await hosted.close()


async def _serve_pool(tools: Tools) -> None:
    readiness = Readiness()
    worker = Worker(tools, readiness)
    await worker.start()
    try:
        await service.serve(
            _app(worker, tools.settings, readiness),
            tools.settings,
            readiness,
            on_drain=worker.drain,
            lame_duck_seconds=0.0,
            ws=WEBSOCKETS,
        )
    finally:
        await worker.close()


def _app(streams: Streams, settings: TranscoderSettings, readiness: Readiness) -> app.App:
    verifier = Verifier(settings.auth_jwks) if settings.auth_jwks else None
    return app.build(streams, verifier, readiness, settings.rtmp_url)


if __name__ == "__main__":
    main()
