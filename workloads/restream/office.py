"""Keeps a target for each address that is mounted, and follows when the files change."""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any

from workloads.common.loops import going_on
from workloads.common.origins import Origins
from workloads.restream.config import targets
from workloads.restream.target import Target

LOOK_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Office:
    """`run` until cancelled; `report` goes into the heartbeat."""

    def __init__(self, stream: str, folder: Path, ffmpeg: str, origins: Origins) -> None:
        self._stream = stream
        self._folder = folder
        self._ffmpeg = ffmpeg
        self._origins = origins
        self._running: dict[str, tuple[Target, asyncio.Task[None]]] = {}

    def report(self) -> dict[str, Any]:
        """All targets by name."""
        return {"targets": {name: target.report() for name, (target, _) in self._running.items()}}

    async def run(self) -> None:
        """Start, stop and replace targets as their files come, go and change."""
        try:
            while going_on():
                wanted = await asyncio.to_thread(targets, self._folder)
                for name, (target, _) in list(self._running.items()):
                    if wanted.get(name) != target.url:
                        await self._stop(name)
                for name, url in wanted.items():
                    if name not in self._running:
                        target = Target(name, url, self._ffmpeg, self._playlist)
                        self._running[name] = (target, asyncio.create_task(target.run()))
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for name in list(self._running):
                await self._stop(name)

    async def _playlist(self) -> str:
        """Address of the stream's playlist at its origin, as it is now."""
        self._origins.forget(self._stream)
        return f"{await self._origins.find(self._stream)}/hls/{self._stream}/master.m3u8"

    async def _stop(self, name: str) -> None:
        _, task = self._running.pop(name)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
