"""Entry point: `python -m workloads.recorder`."""

import asyncio
import contextlib

import uuid_utils

from workloads.common import redis, service
from workloads.common.health import Readiness
from workloads.common.tokens import Verifier
from workloads.recorder.app import build
from workloads.recorder.broadcasts import Broadcasts
from workloads.recorder.clips.api import Clips
from workloads.recorder.clips.desk import Desk
from workloads.recorder.config import RecorderSettings
from workloads.recorder.leases import Leases
from workloads.recorder.metrics import Metrics
from workloads.recorder.origin import Origin
from workloads.recorder.replay.app import Replay
from workloads.recorder.replay.library import Library
from workloads.recorder.shared import Tools
from workloads.recorder.spool import Spool
from workloads.recorder.storage import Storage
from workloads.recorder.sweep import Sweep


def main() -> None:
    """Record and replay until SIGTERM."""
    settings = RecorderSettings()

    async def serve() -> None:
        store = redis.connect(settings.redis_url, retries=1)
        writer = f"{settings.pod_name[-24:]}-{uuid_utils.uuid4().hex[:8]}"
        metrics, readiness = Metrics(), Readiness()
        storage = Storage(settings.recorder_storage_url, timeout_seconds=settings.recorder_storage_timeout_seconds)
        spool = Spool(settings.recorder_spool_dir, settings.recorder_spool_bytes, writer)
        metrics.spool_limit.set(spool.max_bytes)
        origin = Origin(metrics)
        tools = Tools(settings, storage, spool, origin, store, metrics, writer)
        leases, library = Leases(store, writer), Library(storage)
        broadcasts, desk = Broadcasts(tools, leases), Desk(tools, library, leases)
        verifier = Verifier(settings.auth_jwks) if settings.auth_jwks else None
        clips = Clips(desk, library, verifier, settings.recorder_clip_max_seconds)
        work = (leases.run(), broadcasts.run(), desk.run(), Sweep(tools, leases).run())
        tasks = [asyncio.create_task(each) for each in work]
        readiness.started = True
        try:
            app = build(readiness, Replay(storage, library, metrics), clips)
            await service.serve(app, settings, readiness, on_drain=broadcasts.drain)
        finally:
            for task in tasks:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)
            await origin.close()
            await store.aclose()

    service.run(serve, settings)


if __name__ == "__main__":
    main()
