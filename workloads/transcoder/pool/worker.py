"""The worker: hosts what is allocated to it, finds a stream for each request, tells the operators how it is.

A stream that moves to another worker must cost its publisher nothing. So the old worker answers 503 for its key, never
401, until the routes have followed, and it answers 401 for an unknown key only after a read that began later than the
question: the route may have been faster than the allocation.
"""

import asyncio
import contextlib
import hashlib
import hmac
import logging
import time
from collections.abc import Coroutine
from typing import Any

from workloads.common.health import Readiness
from workloads.common.heartbeat import Heartbeat
from workloads.common.loops import going_on
from workloads.common.problem import Problem
from workloads.transcoder.hosted import Hosted, Tools, unknown_key
from workloads.transcoder.pool.allocations import Allocation, Table
from workloads.transcoder.pool.mailbox import Mailbox, MailboxUnavailable, Seen

READ_SECONDS = 2.0
PATIENCE_SECONDS = 5.0
LINGER_SECONDS = 30.0
MAX_ANNOUNCED = 1000

logger = logging.getLogger(__name__)


class Worker:
    """The streams of a pool's worker (`hosted.Streams`); `start` it, `drain` it at the end, then `close` it."""

    def __init__(self, tools: Tools, readiness: Readiness) -> None:
        settings = tools.settings
        self.draining = False
        self._tools = tools
        self._settings = settings
        self._readiness = readiness
        self._table = Table(settings.pod_name)
        self._hosted: dict[str, Hosted] = {}
        self._left: dict[str, tuple[float, tuple[str, ...], Hosted]] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._mailbox = Mailbox(tools.store, settings.redis_url, settings.pod_name)
        self._beat = Heartbeat(tools.store, f"worker/{settings.pool}/{settings.pod_name}", self._report)
        self._reading = asyncio.Lock()
        self._reads = 0
        self._read_succeeded = self._outage = False
        self._announced: set[str] = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to read, to listen and to give signs of life."""
        loops = (self._follow(), self._mailbox.listen(self._announce), self._beat.run(), self._lose_patience())
        self._tasks = [asyncio.create_task(loop) for loop in loops]
        for task in self._tasks:
            task.add_done_callback(_complain)

    async def drain(self) -> None:
        """Take no publisher any more, and wait for those that are there to end, but not beyond the grace period."""
        self.draining = True
        for hosted in self._hosted.values():
            hosted.publisher.draining = True
        self._beat.nudge()
        ending = [asyncio.create_task(hosted.publisher.ended()) for hosted in self._hosted.values()]
        if ending:
            _, late = await asyncio.wait(ending, timeout=self._settings.pool_drain_seconds)
            for task in late:
                task.cancel()
            logger.info("drained", extra={"publishers_left": len(late)})
        await asyncio.gather(*(hosted.publisher.close() for hosted in self._hosted.values()))

    async def close(self) -> None:
        """End everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*self._ending.values(), return_exceptions=True)
        await asyncio.gather(*(hosted.close() for hosted in self._hosted.values()))

    def find(self, stream: str) -> Hosted | None:
        """The stream, also for a while after it has moved away."""
        hosted = self._hosted.get(stream)
        if hosted is None and stream in self._left:
            hosted = self._left[stream][2]
        return hosted

    async def by_key(self, key: str) -> Hosted:
        """The stream of a key; Problem 401 for an unknown one, 503 while the stream moves or Redis is needed and away.

        A channel's key is accepted by several streams; then it means the one that ingest's routes name.
        """
        if not key:
            raise unknown_key()
        digest = hashlib.sha256(key.encode()).hexdigest()
        try:
            found = self._accepting(digest)
            if not found:
                await self._refresh()
                found = self._accepting(digest)
            if len(found) == 1:
                return found[0]
            holder = await self._mailbox.holder(digest)
        except MailboxUnavailable as error:
            detail = "The allocations cannot be read now."
            raise Problem(503, "no_allocations", detail, retry_after_seconds=1) from error
        named = next((hosted for hosted in found if hosted.stream.spec.stream == holder), None)
        if named:
            return named
        if found or holder or any(_accepts(keys, digest) for _, keys, _ in self._left.values()):
            raise Problem(503, "moved", "The stream is being moved, try again.", retry_after_seconds=1)
        raise unknown_key()

    def _accepting(self, digest: str) -> list[Hosted]:
        """The streams that this key may publish to; takes the same time whichever they are."""
        matches = [(_accepts(allocation.keys, digest), name) for name, allocation in self._table.held.items()]
        return [self._hosted[name] for matching, name in matches if matching]

    def _report(self) -> dict[str, Any]:
        """The worker's heartbeat, without `ts_ms`."""
        host = f"[{self._settings.pod_ip}]" if ":" in self._settings.pod_ip else self._settings.pod_ip
        names = (name for name, hosted in self._hosted.items() if hosted.stream.receiving or not self.draining)
        return {
            "url": f"http://{host}:{self._settings.listen_port}",
            "units": self._settings.pool_units,
            "streams": sorted(names),
            "draining": self.draining,
        }

    def _announce(self, stream: str) -> None:
        """The allocation of a stream changed; an empty name, or a flood of them, asks for everything."""
        self._announced.add(stream if len(self._announced) < MAX_ANNOUNCED else "")
        self._wake.set()

    async def _follow(self) -> None:
        """Read everything every two seconds, and what is announced at once."""
        due = 0.0
        while going_on():
            announced, self._announced = self._announced, set()
            self._wake.clear()
            with contextlib.suppress(MailboxUnavailable):
                if "" in announced or time.monotonic() >= due:
                    due = time.monotonic() + READ_SECONDS
                    await self._refresh()
                else:
                    await self._take(announced)
            self._forget_left()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(0.0, due - time.monotonic()))

    async def _lose_patience(self) -> None:
        """Without Redis the worker is ready all the same: its pod is not what is broken."""
        await asyncio.sleep(PATIENCE_SECONDS)
        self._readiness.started = True

    async def _refresh(self) -> None:
        """Have the result of a full read that begins from now on; MailboxUnavailable when that fails."""
        wanted = self._reads + 1
        async with self._reading:
            if self._reads < wanted:
                self._reads = wanted
                self._read_succeeded = False
                self._apply(await self._checked(self._mailbox.read(tuple(self._table.held))))
                self._read_succeeded = self._readiness.started = True
            elif not self._read_succeeded:
                raise MailboxUnavailable("the allocations could not be read")

    async def _take(self, streams: set[str]) -> None:
        """Look at single streams; in turn with full reads, so that an older answer never undoes a newer one."""
        async with self._reading:
            self._apply(await self._checked(self._mailbox.look(sorted(streams))))

    async def _checked(self, read: Coroutine[Any, Any, Seen]) -> Seen:
        try:
            seen = await read
        except MailboxUnavailable as error:
            self._table.failed()
            if not self._outage:
                logger.warning("allocations are not readable, what is hosted stays: %s", error)
            self._outage = True
            raise
        self._outage = False
        return seen

    def _apply(self, seen: Seen) -> None:
        changes = self._table.read(seen, time.monotonic())
        for allocation in changes.moved:
            self._leave(allocation)
        for stream in changes.gone:
            logger.info("stream dropped", extra={"stream": stream})
            self._end(stream, self._hosted.pop(stream).close())
        for allocation in changes.host:
            self._host(allocation)
        for allocation in changes.update:
            self._set(self._hosted[allocation.stream], allocation)
        if changes.moved or changes.gone or changes.host:
            self._beat.nudge()

    def _host(self, allocation: Allocation) -> None:
        stream = allocation.stream
        logger.info("stream allocated", extra={"stream": stream, "units": allocation.units})
        self._left.pop(stream, None)
        hosted = self._hosted[stream] = Hosted(allocation.spec, self._tools)
        hosted.on_transition = self._beat.nudge
        hosted.publisher.draining = self.draining
        self._set(hosted, allocation)
        # The one before it removes its sign of life under the same name: that has to be over first.
        self._end(stream, _start(hosted))

    def _set(self, hosted: Hosted, allocation: Allocation) -> None:
        """What may change while a session runs; the encoder's part is for the next one."""
        hosted.stream.spec = allocation.spec
        share = min(1.0, allocation.units / self._settings.pool_units)
        hosted.stream.max_bytes = int(self._settings.max_window_bytes * share)
        hosted.publisher.encoder_memory_bytes = self._settings.pool_unit_memory_bytes * (allocation.units + 1)

    def _leave(self, elsewhere: Allocation) -> None:
        stream = elsewhere.stream
        logger.info("stream moved away", extra={"stream": stream, "worker": elsewhere.worker})
        hosted = self._hosted.pop(stream)
        self._left[stream] = (time.monotonic(), elsewhere.keys, hosted)
        self._end(stream, hosted.retire())

    def _end(self, stream: str, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` after what is still being done about the stream, and without holding the reads up."""
        task = asyncio.create_task(_after(self._ending.get(stream), work))
        self._ending[stream] = task

    def _forget_left(self) -> None:
        now = time.monotonic()
        for stream in [name for name, (since, *_) in self._left.items() if now - since > LINGER_SECONDS]:
            del self._left[stream]
        for stream in [name for name, task in self._ending.items() if task.done()]:
            del self._ending[stream]


async def _start(hosted: Hosted) -> None:
    hosted.start()


async def _after(previous: asyncio.Task[None] | None, work: Coroutine[Any, Any, None]) -> None:
    if previous:
        await asyncio.wait([previous])
    await work


def _accepts(keys: tuple[str, ...], digest: str) -> bool:
    """Whether the digest is among the keys, in a time that does not tell which."""
    matches = [hmac.compare_digest(digest, key) for key in keys]
    return any(matches)


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception():
        logger.critical("a loop of the worker has ended", exc_info=task.exception())
