"""All streams that this pod records: found in the directory, leased, recorded, and finished when they end.

A broadcast's recording is known under its stream in Redis while it grows. When it ends it moves to the set of those
that have to be finished, under a lease of its own: a store that is away delays its end and never the next broadcast.
"""

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Coroutine
from typing import Any

from redis.exceptions import RedisError

from workloads.common import events
from workloads.common.loops import going_on
from workloads.recorder import layout, shelf
from workloads.recorder.endings import Endings, told
from workloads.recorder.finish import Superseded
from workloads.recorder.index import Head, Minute
from workloads.recorder.leases import Lease, Leases
from workloads.recorder.origin import OriginAway
from workloads.recorder.session import Session
from workloads.recorder.shared import ENDING_KEY, OPEN_KEY, Tools
from workloads.recorder.spool import Item
from workloads.recorder.storage import StorageAway
from workloads.recorder.wanted import STREAMS_KEY, Wanted, parse_wanted

SCAN_SECONDS = 0.8
ROUND_SECONDS = 1.0
DRAIN_SECONDS = 15.0
_RETRY_SECONDS = 2.0
_EVENT_SECONDS = 10.0

logger = logging.getLogger(__name__)


class Broadcasts:
    """`run` it until cancelled; `drain` before that lets other recorders take over at once."""

    def __init__(self, tools: Tools, leases: Leases) -> None:
        self._tools = tools
        self._leases = leases
        self._endings = Endings(tools, leases)
        self._entries: dict[str, Wanted] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()
        self._dropped: dict[str, int] = {}
        tools.spool.on_drop = self._count_drop

    async def run(self) -> None:
        """Look at the directory once a second."""
        self._spawn("leftovers", self._endings.store_leftovers())
        self._spawn("drops", self._tell_drops())
        while going_on() and not self._stopping.is_set():
            try:
                await self._scan()
            except (RedisError, OSError) as error:
                logger.debug("the directory cannot be read: %s", error)
            self._tools.metrics.streams.set(sum(name.startswith("stream:") for name in self._tasks))
            self._tools.metrics.spool_bytes.set(self._tools.spool.bytes)
            await asyncio.sleep(SCAN_SECONDS * random.uniform(0.8, 1))

    async def drain(self) -> None:
        """Store what is there and give the leases back."""
        self._stopping.set()
        streams = [task for name, task in self._tasks.items() if name.startswith("stream:")]
        if streams:
            await asyncio.wait(streams, timeout=DRAIN_SECONDS + 5)
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _scan(self) -> None:
        redis = self._tools.redis
        raw: Any = await redis.hgetall(STREAMS_KEY)
        self._entries = {stream: entry for stream, text in raw.items() if (entry := parse_wanted(stream, text))}
        started = await redis.hkeys(OPEN_KEY)
        wanted = {stream for stream, entry in self._entries.items() if _recordable(entry) and entry.origin}
        candidates = [f"stream:{stream}" for stream in wanted | set(map(str, started))]
        candidates += [f"finish:{root!s}" for root in await redis.smembers(ENDING_KEY)]
        free = await self._leases.free([name for name in candidates if name not in self._tasks])
        random.shuffle(free)
        for name in free:
            kind, _, rest = name.partition(":")
            full = len(self._tasks) >= self._tools.settings.recorder_max_streams
            if kind == "stream" and full:
                continue
            # Who has less to do comes first, so that streams spread over the pods.
            await asyncio.sleep(min(0.2, 0.02 * len(self._tasks)))
            lease = await self._leases.acquire(name)
            if lease is not None:
                work = self._record(rest, lease) if kind == "stream" else self._endings.finish_other(rest, lease)
                self._spawn(name, self._with_lease(work, lease))

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))

    async def _with_lease(self, work: Coroutine[Any, Any, None], lease: Lease) -> None:
        try:
            await work
        except (OriginAway, StorageAway, RedisError, OSError) as error:
            logger.warning("recording is interrupted: %s", error, extra={"lease": lease.name})
            await asyncio.sleep(_RETRY_SECONDS * random.uniform(0.5, 1))
        except Superseded:
            logger.warning("a newer recorder has it", extra={"lease": lease.name})
        except Exception:
            logger.exception("recording failed", extra={"lease": lease.name})
            await asyncio.sleep(_RETRY_SECONDS)
        finally:
            await self._leases.release(lease)

    async def _record(self, stream: str, lease: Lease) -> None:
        """One stream, until it leaves the air or somebody else has it."""
        head, since = await self._resumed(stream, lease)
        entry = self._entries.get(stream)
        if head is not None and not (entry and _recordable(entry) and entry.uid == head.uid):
            await self._end(stream, head.recording)
            return
        session, base, uid = None, "", entry.uid if entry else ""
        try:
            while not (lease.lost.is_set() or self._stopping.is_set()):
                entry = self._entries.get(stream)
                if entry is None or not _recordable(entry) or entry.uid != uid:
                    break
                base = entry.origin or base
                try:
                    if session is None and base:
                        session = await self._begin(entry, head, since, base, lease)
                    if session is not None and base:
                        await session.round(base)
                except OriginAway as error:
                    logger.debug("no answer from the transcoder: %s", error, extra={"stream": stream})
                if session is not None and self._is_over(session):
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(lease.lost.wait(), ROUND_SECONDS)
        except BaseException:
            if session is not None:
                await session.abandon()
            raise
        if session is not None:
            await self._close(session, base, lease)

    async def _begin(self, entry: Wanted, head: Head | None, since: float, base: str, lease: Lease) -> Session | None:
        """The session of a recording that goes on, or of a new one when there is a segment."""
        known = Minute({}, {}, {})
        if head is None:
            variants = await self._tools.origin.master(base, entry.stream)
            lists = [await self._tools.origin.media(base, entry.stream, item.name) for item in variants]
            starts = [item.start for listed in lists for item in listed if item.start >= since - 1e-3]
            if not starts:
                return None
            start = since or min(starts)
            head = Head(id=layout.recording_id(start, entry.uid), stream=entry.stream, started_ms=layout.wall_ms(start))
            value = json.dumps({"id": head.id, "uid": entry.uid, "since": start})
            await told(self._tools.redis.hset(OPEN_KEY, entry.stream, value))
        else:
            with contextlib.suppress(StorageAway):
                known = await shelf.read_index(self._tools.storage, head.recording)
        head.uid, head.title, head.token = entry.uid, entry.title, lease.token
        head.retention_seconds, head.dvr_window_seconds = entry.retention_seconds, entry.dvr_window_seconds
        head.highlights = entry.highlights
        session = Session(self._tools, head, known, since=layout.media_time(head.started_ms))
        session.start()
        await self._endings.announce(head)
        logger.info("recording", extra={"stream": entry.stream, "recording": head.id, "token": lease.token})
        return session

    async def _resumed(self, stream: str, lease: Lease) -> tuple[Head | None, float]:
        """The recording that grows, and from which media time on a new one begins (0: from what there is)."""
        raw = await self._tools.redis.hget(OPEN_KEY, stream)
        if raw is None:
            with contextlib.suppress(StorageAway):
                return await shelf.newest_open(self._tools.storage, stream), 0.0
            return None, 0.0
        try:
            value = json.loads(raw)
            recording, uid, since = str(value["id"]), str(value["uid"]), float(value["since"])
        except (ValueError, KeyError, TypeError):
            logger.error("unusable entry in %s", OPEN_KEY, extra={"stream": stream})
            return None, 0.0
        if not layout.RECORDING.fullmatch(recording):
            return None, since
        head = Head(id=recording, stream=stream, uid=uid, started_ms=layout.wall_ms(since), token=lease.token)
        with contextlib.suppress(StorageAway):
            head = await shelf.read_head(self._tools.storage, head.recording) or head
        return head, since

    async def _close(self, session: Session, base: str, lease: Lease) -> None:
        stream, recording = session.recording.stream, session.recording
        if lease.lost.is_set():
            # What was fetched is stored all the same: it has the names that the other recorder gives it.
            self._spawn(f"drain:{recording.root}", _drain(session))
            return
        if self._stopping.is_set():
            await session.close(patience_seconds=DRAIN_SECONDS)
            return
        if base:
            with contextlib.suppress(OriginAway):
                await session.round(base)
        own = await self._leases.acquire(f"finish:{recording.root}")
        entry = self._entries.get(stream)
        goes_on = entry is not None and _recordable(entry) and entry.uid == session.head.uid
        await self._end(stream, recording, next_since=session.until if goes_on and session.is_cut else None)
        if own is not None:
            work = self._finish_own(session, own)
            self._spawn(f"finish:{recording.root}", self._with_lease(work, own))

    async def _end(self, stream: str, recording: layout.Recording, next_since: float | None = None) -> None:
        """The recording grows no more; with `next_since` another one follows it without a hole."""
        redis = self._tools.redis
        await redis.sadd(ENDING_KEY, recording.root)
        if next_since is None:
            await redis.hdel(OPEN_KEY, stream)
            return
        entry = self._entries[stream]
        value = {"id": layout.recording_id(next_since, entry.uid), "uid": entry.uid, "since": next_since}
        await redis.hset(OPEN_KEY, stream, json.dumps(value))

    async def _finish_own(self, session: Session, lease: Lease) -> None:
        await session.close()
        await self._endings.finish(session.recording, lease, fresh_sheets=session.gallery.fresh_sheets)

    def _count_drop(self, item: Item) -> None:
        self._tools.metrics.dropped.labels(item.label.stream).inc()
        self._dropped[item.label.stream] = self._dropped.get(item.label.stream, 0) + 1

    async def _tell_drops(self) -> None:
        """An event for each stream that lost segments, at most one in ten seconds."""
        while going_on():
            await asyncio.sleep(_EVENT_SECONDS)
            lost, self._dropped = self._dropped, {}
            for stream, count in lost.items():
                logger.error("segments were given up: the spool is full", extra={"stream": stream, "segments": count})
                event = events.new_event("recording.dropped", stream=stream, user="", data={"segments": count})
                await told(events.emit(self._tools.redis, event))

    def _is_over(self, session: Session) -> bool:
        """Whether the recording is as long as one may be, in all its renditions."""
        if session.newest - session.since > self._tools.settings.recorder_max_seconds:
            session.cut()
        return session.is_cut


def _recordable(entry: Wanted) -> bool:
    return entry.enabled and entry.on_air


async def _drain(session: Session) -> None:
    await session.close()
