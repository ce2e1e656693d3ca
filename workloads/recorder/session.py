"""One recording while it grows: the origin's finished segments, each once, into the spool.

The origin's window is half a minute long, so that a slow store never costs a segment and a recorder that takes over
within seconds misses none: it takes whatever the window has and the index has not.
"""

import asyncio
import contextlib
import logging
import math
import time

from workloads.recorder import pictures
from workloads.recorder.gallery import Gallery
from workloads.recorder.hls import Listed, Variant
from workloads.recorder.index import Head, Minute, Rendition, Segment, encode
from workloads.recorder.origin import Gone, OriginAway
from workloads.recorder.room import Tail
from workloads.recorder.shared import Tools
from workloads.recorder.spool import Label
from workloads.recorder.timeline import HOLE_SECONDS
from workloads.recorder.upload import Uploader

MASTER_SECONDS = 5.0
HEAD_SECONDS = 30.0
CUT_SECONDS = 10.0
_SEEN = 4000

logger = logging.getLogger(__name__)


class Session:
    """Made with what an earlier recorder stored (`known`); `start`, then `round` again and again, then `close`."""

    def __init__(self, tools: Tools, head: Head, known: Minute, *, since: float) -> None:
        self.head = head
        self.recording = head.recording
        self.since = since
        self.newest = since
        self.until = math.inf
        self._cut_at = 0.0
        self._reached: dict[str, float] = {}
        self._tools = tools
        self.uploader = Uploader(tools.storage, tools.spool, self.recording, tools.writer, tools.metrics)
        self.gallery = Gallery(self.recording, self.uploader, tools.metrics, known=known.thumbnails)
        self._tail = Tail(tools.redis, self.recording, self.uploader, tools.writer, since)
        self._seen = {rung: {segment.msn for segment in segments} for rung, segments in known.segments.items()}
        self._inits: dict[tuple[str, str], bytes] = {}
        self._variants: list[Variant] = []
        self._asked = 0.0
        self._told = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Store and listen from now on."""
        self._tasks = [asyncio.create_task(self.uploader.run()), asyncio.create_task(self._tail.run())]

    async def round(self, base: str) -> None:
        """Take what is new at the origin; OriginAway when it does not answer."""
        stream, now = self.recording.stream, time.monotonic()
        if not self._variants or now - self._asked > MASTER_SECONDS:
            self._variants = await self._tools.origin.master(base, stream)
            self._asked = now
        rung = self._pictured()
        results = await asyncio.gather(
            *(self._follow(base, variant, pictured=variant.name == rung) for variant in self._variants),
            return_exceptions=True,
        )
        if self._told == 0 or now - self._told > HEAD_SECONDS:
            self._told = now
            self._tell()
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, OriginAway):
                raise failure
        if failures:
            self._asked = 0.0
            raise OriginAway(str(failures[0]))

    def cut(self) -> None:
        """Take nothing that begins after what there is now: another recording takes it."""
        if self.until == math.inf:
            self.until = self.newest - HOLE_SECONDS
            self._cut_at = time.monotonic()

    @property
    def is_cut(self) -> bool:
        """Whether all renditions have come to the cut; one that ended before it is not waited for."""
        if self.until == math.inf:
            return False
        waited = time.monotonic() - self._cut_at > CUT_SECONDS
        return waited or all(end >= self.until - HOLE_SECONDS for end in self._reached.values())

    async def close(self, *, patience_seconds: float | None = None) -> bool:
        """Stop listening and wait until all is stored, or for as long as there is patience; whether all is stored."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._tail.read(), 2)
        await self.gallery.close()
        self._tell()
        try:
            async with asyncio.timeout(patience_seconds):
                await self.uploader.drained()
        except TimeoutError:
            return False
        finally:
            await self.abandon()
        return True

    async def abandon(self) -> None:
        """Stop at once; the spool keeps what is not stored."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _tell(self) -> None:
        self.head.updated_ms = round(time.time() * 1000)
        self.uploader.publish(self.recording.head, encode(self.head))

    def _pictured(self) -> str:
        return pictures.best_rung({item.name: min(item.width, item.height) for item in self._variants if item.video})

    async def _follow(self, base: str, variant: Variant, *, pictured: bool) -> None:
        listed = await self._tools.origin.media(base, self.recording.stream, variant.name)
        seen = self._seen.setdefault(variant.name, set())
        for item in listed:
            if item.msn not in seen and self.since - 1e-3 <= item.start < self.until:
                await self._take(base, variant, item, pictured=pictured)
                seen.add(item.msn)
                self._reached[variant.name] = item.start + item.duration
                self.newest = max(self.newest, item.start + item.duration)
        if len(seen) > 2 * _SEEN:
            seen.difference_update(sorted(seen)[:-_SEEN])

    async def _take(self, base: str, variant: Variant, item: Listed, *, pictured: bool) -> None:
        """Fetch a segment into the spool; one that the origin has no more is given up."""
        stream, origin = self.recording.stream, self._tools.origin
        try:
            init = await self._init(base, variant, item.init)
            data = await origin.segment(base, stream, variant.name, item.msn)
        except Gone:
            logger.warning("a segment left the origin", extra={"stream": stream, "rung": variant.name, "msn": item.msn})
            return
        rendition = Rendition(variant.codec, variant.bandwidth, variant.width, variant.height, variant.fps)
        segment = Segment(item.msn, item.start, item.duration, len(data), item.init, item.discontinuity)
        label = Label(
            stream=stream,
            recording=self.recording.id,
            path=self.recording.segment(variant.name, item.msn),
            rung=variant.name,
            segment=segment,
            rendition=rendition,
        )
        await self.uploader.add(label, data)
        if pictured:
            await self.gallery.offer(rendition, item.start, init, data)

    async def _init(self, base: str, variant: Variant, version: str) -> bytes:
        known = self._inits.get((variant.name, version))
        if known is not None:
            return known
        data = await self._tools.origin.init(base, self.recording.stream, variant.name, version)
        path = self.recording.init(variant.name, version)
        label = Label(stream=self.recording.stream, recording=self.recording.id, path=path, rung=variant.name)
        await self.uploader.add(label, data)
        self._inits[variant.name, version] = data
        return data
