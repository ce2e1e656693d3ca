"""Orders for clips and how they are carried out: noted in Redis, made by any recorder under a lease, then stored.

A recorder that dies while it makes a clip loses the lease, and another one makes it.
"""

import asyncio
import contextlib
import logging
import random
import tempfile
import time
from pathlib import Path

import msgspec
from redis.exceptions import RedisError

from workloads.common.loops import going_on
from workloads.recorder import layout
from workloads.recorder.clips import remux
from workloads.recorder.index import Segment
from workloads.recorder.leases import Leases
from workloads.recorder.replay.library import Library
from workloads.recorder.shared import Tools
from workloads.recorder.shelf import PARALLEL
from workloads.recorder.storage import ObjectMissing, StorageAway
from workloads.recorder.timeline import HOLE_SECONDS, Timeline

PENDING_KEY = "haat:clips:pending"
NOTE_PREFIX = "haat:clips:"
NOTE_SECONDS = 24 * 3600
WAIT_SECONDS = 15.0
_SCAN_SECONDS = 1.0
_TRIES = 5

logger = logging.getLogger(__name__)


class Note(msgspec.Struct, kw_only=True):
    """A clip: what was ordered, how far it is, and what it became. Times in epoch milliseconds."""

    id: str
    stream: str
    recording: str
    start_ms: int
    end_ms: int
    title: str = ""
    by: str = ""
    status: str = "queued"
    reason: str = ""
    duration_ms: int = 0
    bytes: int = 0
    created_ms: int = 0
    expires_ms: int = 0
    tries: int = 0
    asked_start_ms: int = 0
    asked_end_ms: int = 0

    @property
    def url(self) -> str:
        """Where the file is, when it is made."""
        return f"/vod/{layout.clip(self.stream, self.id)}"


_NOTE = msgspec.json.Decoder(Note)


class Desk:
    """Takes orders and, while it runs, carries them out one after the other."""

    def __init__(self, tools: Tools, library: Library, leases: Leases) -> None:
        self._tools = tools
        self._library = library
        self._leases = leases
        self._wake = asyncio.Event()

    async def order(self, note: Note) -> None:
        """Note a new clip; RedisError."""
        await self._save(note)
        await self._tools.redis.sadd(PENDING_KEY, note.id)
        self._wake.set()

    async def find(self, clip_id: str) -> Note | None:
        """The clip with this id; RedisError, StorageAway."""
        raw = await self._tools.redis.get(NOTE_PREFIX + clip_id)
        try:
            return _NOTE.decode(raw if raw else await self._tools.storage.get(layout.clip_note(clip_id)))
        except (ObjectMissing, msgspec.DecodeError):
            return None

    async def run(self) -> None:
        """Carry out orders until cancelled."""
        while going_on():
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _SCAN_SECONDS * random.uniform(0.7, 1))
            try:
                for clip_id in await self._tools.redis.smembers(PENDING_KEY):
                    await self._carry_out(str(clip_id))
            except (RedisError, OSError) as error:
                logger.debug("orders cannot be read: %s", error)
            except StorageAway as error:
                logger.warning("a clip has to wait: %s", error)

    async def _carry_out(self, clip_id: str) -> None:
        lease = await self._leases.acquire(f"clip:{clip_id}")
        if lease is None:
            return
        try:
            note = await self.find(clip_id) if layout.CLIP.fullmatch(clip_id) else None
            if note is None or note.status in ("ready", "failed"):
                await self._tools.redis.srem(PENDING_KEY, clip_id)
                return
            note.status, note.tries = "making", note.tries + 1
            await self._save(note)
            try:
                await self._make(note)
            except remux.NoClip as error:
                note.status, note.reason = "failed", str(error)
            except ObjectMissing as error:
                note.status, note.reason = "failed", f"media is missing: {error}"
            if note.status == "making":
                if note.tries < _TRIES:
                    return
                note.status, note.reason = "failed", "it did not work"
            self._tools.metrics.clips.labels(note.status).inc()
            await self._save(note)
            await self._tools.storage.put(layout.clip_note(clip_id), msgspec.json.encode(note))
            await self._tools.redis.srem(PENDING_KEY, clip_id)
        finally:
            await self._leases.release(lease)

    async def _save(self, note: Note) -> None:
        await self._tools.redis.set(NOTE_PREFIX + note.id, msgspec.json.encode(note).decode(), ex=NOTE_SECONDS)

    async def _make(self, note: Note) -> None:
        recording = layout.Recording(note.stream, note.recording)
        start, end = layout.media_time(note.start_ms), layout.media_time(note.end_ms)
        timeline = await self._reaching(recording, end)
        if start >= timeline.end or end <= timeline.start:
            raise remux.NoClip("the recording does not hold these moments")
        pictures = next((name for name, item in timeline.renditions.items() if item.video), "")
        sound = next((name for name, item in timeline.renditions.items() if not item.video), "")
        if not pictures:
            raise remux.NoClip("the recording has no picture")
        with tempfile.TemporaryDirectory(dir=self._tools.settings.recorder_spool_dir, prefix="clip-") as folder:
            video = await self._sources(recording, timeline, pictures, start, end, Path(folder))
            audio = await self._sources(recording, timeline, sound, start, end, Path(folder)) if sound else []
            target = Path(folder) / "clip.mp4"
            cut = await asyncio.to_thread(remux.remux, video, audio, start, end, target)
            await self._tools.storage.put(layout.clip(note.stream, note.id), target)
            note.bytes = target.stat().st_size
        note.start_ms, note.end_ms = layout.wall_ms(cut.start), layout.wall_ms(cut.end)
        note.duration_ms, note.status = round(cut.seconds * 1000), "ready"

    async def _reaching(self, recording: layout.Recording, end: float) -> Timeline:
        """The timeline; of a recording that grows once it holds the end, or after some patience."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            view = await self._library.view(recording)
            if view.head.ended or view.timeline.end >= end or time.monotonic() > deadline:
                return view.timeline
            await asyncio.sleep(1.0)

    async def _sources(
        self, recording: layout.Recording, timeline: Timeline, name: str, start: float, end: float, folder: Path
    ) -> list[remux.Source]:
        """The segments that touch the clip, as files of media without a pause.

        Sound has one segment more on either side: its borders are not the picture's.
        """
        margin = 0.0 if timeline.renditions[name].video else 0.1
        chosen = [item for item in timeline.segments(name) if item.end > start - margin and item.start < end + margin]
        sources = []
        for number, run in enumerate(runs(chosen)):
            file = folder / f"{name}-{number}.mp4"
            paths = [recording.init(name, run[0].init), *(recording.segment(name, item.msn) for item in run)]
            with file.open("wb") as opened:
                for at in range(0, len(paths), PARALLEL):
                    batch = paths[at : at + PARALLEL]
                    for data in await asyncio.gather(*map(self._tools.storage.get, batch)):
                        await asyncio.to_thread(opened.write, data)
            sources.append(remux.Source(run[0].init, file))
        return sources


def runs(segments: list[Segment]) -> list[list[Segment]]:
    """Cut where the media is not continuous."""
    found: list[list[Segment]] = []
    for segment in segments:
        before = found[-1][-1] if found else None
        if before is None or (
            segment.discontinuity or segment.init != before.init or abs(segment.start - before.end) > HOLE_SECONDS
        ):
            found.append([])
        found[-1].append(segment)
    return found
