"""Plays one stream as a viewer would, without decoding it: playlists with blocking reload, and each new part."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import aiohttp

from workloads.common.loops import going_on
from workloads.probe.edge import LiveEdge, PlaylistError, live_edge, smallest_variant

WINDOW_SECONDS = 15.0
STALL_SECONDS = 1.0
_PAUSE_SECONDS = 1.0
_TIMEOUT = aiohttp.ClientTimeout(total=10)

logger = logging.getLogger(__name__)


class Watcher:
    """`run` until cancelled; `report` is what is known now."""

    def __init__(
        self, client: aiohttp.ClientSession, edge_url: str, stream: str, *, wall: Callable[[], float] = time.time
    ) -> None:
        self.stream = stream
        self.stalls = 0
        self.failures = 0
        self.startup_ms = 0
        self._client = client
        self._master = f"{edge_url}/hls/{stream}/master.m3u8"
        self._wall = wall
        self._samples: deque[tuple[float, int]] = deque()

    def report(self) -> dict[str, Any] | None:
        """Latency over the last seconds, None before there is any."""
        now = self._wall()
        while self._samples and now - self._samples[0][0] > WINDOW_SECONDS:
            self._samples.popleft()
        if not self._samples:
            return None
        found = sorted(value for _, value in self._samples)
        return {
            "latency_p50_ms": found[len(found) // 2],
            "latency_p95_ms": found[min(len(found) - 1, len(found) * 95 // 100)],
            "startup_ms": self.startup_ms,
            "stalls": self.stalls,
            "failures": self.failures,
        }

    async def run(self) -> None:
        """Watch; after a failure begin anew."""
        while going_on():
            try:
                await self._watch()
            except (aiohttp.ClientError, TimeoutError, PlaylistError, OSError) as error:
                self.failures += 1
                logger.info("the stream cannot be watched: %r", error, extra={"stream": self.stream})
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _watch(self) -> None:
        began = time.monotonic()
        media = urljoin(self._master, smallest_variant(await self._text(self._master)))
        edge = live_edge(await self._text(media))
        await self._part(media, edge)
        self.startup_ms = round((time.monotonic() - began) * 1000)
        while going_on():
            asked = time.monotonic()
            edge = live_edge(await self._text(f"{media}?_HLS_msn={edge.next_msn}&_HLS_part={edge.next_part}"))
            self._samples.append((self._wall(), edge.latency_ms(self._wall())))
            if time.monotonic() - asked > edge.hold_back + STALL_SECONDS:
                self.stalls += 1

    async def _text(self, url: str) -> str:
        async with self._client.get(url, timeout=_TIMEOUT, raise_for_status=True) as answer:
            return await answer.text()

    async def _part(self, media: str, edge: LiveEdge) -> None:
        """The hinted part: what a player would show first."""
        url = urljoin(media, f"{edge.next_msn}.{edge.next_part}.m4s")
        async with self._client.get(url, timeout=_TIMEOUT, raise_for_status=True) as answer:
            await answer.read()
