"""The programme on air: starts each source ahead of its time, switches at the slot, and falls back to the slate.

One loop decides everything, a dozen times a second, from what is planned, what is on air and what waits. Nothing here
ends the publication: whatever happens to a source, another one goes on where it stopped.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from workloads.common.loops import going_on
from workloads.playout import command
from workloads.playout.config import PlayoutSettings
from workloads.playout.failures import Failures
from workloads.playout.metrics import Metrics
from workloads.playout.origin import Origins
from workloads.playout.schedule import Programme, ScheduleFile
from workloads.playout.source import Source
from workloads.playout.transport import CLOCK, WRAP, Joint, since

TICK_SECONDS = 0.08
LEAD_SECONDS = {"vod": 2.5, "slate": 1.5, "stream": 6.0, "relay": 6.0}
START_SECONDS = 10.0
ON_TIME_SECONDS = 0.3
BEGIN_SECONDS = 10.0
LIVE_KINDS = ("stream", "relay")
NO_SOUND = "matches no streams"

logger = logging.getLogger(__name__)


class Switcher:
    """See the module's text. `write` takes the joint stream, `on_change` hears of each switch; `clock` is
    Unix time."""

    def __init__(
        self,
        settings: PlayoutSettings,
        ffmpeg: str,
        schedule: ScheduleFile,
        origins: Origins,
        write: Callable[[bytes], None],
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._ffmpeg = ffmpeg
        self._schedule = schedule
        self._origins = origins
        self._write = write
        self._metrics = metrics
        self.on_change: Callable[[], None] = lambda: None
        self._clock = clock
        self._epoch = clock()
        self._joint = Joint()
        self._failures = Failures()
        self._soundless: set[str] = set()
        self._plain_until = 0.0
        self._shift = 0
        self._cut: int | None = None
        self._stopping: set[asyncio.Task[None]] = set()
        self.on_air: Source | None = None
        self.since = clock()
        self._next: Source | None = None
        self._stopgap: Source | None = None

    def state(self) -> dict[str, object]:
        """What is shown, for the heartbeat."""
        shown = self.on_air.programme if self.on_air else None
        planned = self._schedule.current.at(self._clock())
        return {
            "slot": shown.slot if shown else "",
            "kind": shown.kind if shown else "",
            "source": shown.source if shown else "",
            "since_ms": int(self.since * 1000),
            "failing": planned.slot if self._failures.failing(planned) else "",
        }

    async def run(self) -> None:
        """Show the programme until cancelled."""
        try:
            while going_on():
                await self._tick(self._clock())
                await asyncio.sleep(TICK_SECONDS)
        finally:
            for source in (self.on_air, self._next, self._stopgap):
                self._drop(source)
            await asyncio.gather(*self._stopping)

    async def _tick(self, now: float) -> None:
        self._failures.forget(now)
        self._look_at_air(now)
        await self._look_ahead(now)
        if self._next is not None and self._next.ready:
            if now >= self._next.at:
                self._go(self._next, now)
            elif self.on_air is not None:
                self._cut = self._ticks(self._next.at)
        elif self.on_air is None and self._stopgap is not None and self._stopgap.ready:
            self._go(self._stopgap, now)

    def _look_at_air(self, now: float) -> None:
        """Notice what ended or fell silent."""
        shown = self.on_air
        if shown is not None and (shown.ended or shown.stalled):
            if shown.complete:
                self._failures.note_over(shown.programme)
            else:
                self._fail(shown, now)
            self.on_air = None
            self._cut = None
            self._drop(shown)
        for waiting in (self._next, self._stopgap):
            if waiting is None or (not waiting.ended and time.monotonic() - waiting.born < START_SECONDS):
                continue
            if waiting.ended and waiting.ready:
                continue  # shorter than its lead; it will be shown
            if waiting.complete and waiting.programme.kind == "vod":
                self._failures.note_over(waiting.programme)
            elif not waiting.ready:
                self._fail(waiting, now)
            else:
                continue
            self._next = None if waiting is self._next else self._next
            self._stopgap = None if waiting is self._stopgap else self._stopgap
            self._drop(waiting)

    async def _look_ahead(self, now: float) -> None:
        """Start what will be needed."""
        schedule = self._schedule.current
        planned = schedule.at(now)
        goal = self._goal(planned, now)
        if self.on_air is None or self.on_air.programme.identity != goal.identity:
            await self._prepare(goal, now)
        else:
            coming = schedule.at(now + max(LEAD_SECONDS.values()))
            begins = coming.starts_at_ms / 1000
            if coming.identity != planned.identity and begins - now <= LEAD_SECONDS[coming.kind]:
                await self._prepare(self._goal(coming, now), max(begins, now))
            elif self._next is not None and self._next.programme.identity != coming.identity:
                self._drop(self._next)
                self._next, self._cut = None, None
        waits = self._next is None or (not self._next.ready and self._next.programme.kind != "slate")
        if self.on_air is None and self._stopgap is None and waits:
            moment = round(now * 1000)
            self._stopgap = await self._start(schedule.filler(moment, moment + 1), now)

    def _goal(self, programme: Programme, now: float) -> Programme:
        """The programme, or the slate while it cannot be shown."""
        hopeless = self._failures.is_over(programme) or not self._failures.may_try(programme, now)
        waits = self._next is not None and self._next.programme.identity == programme.identity
        if hopeless and not waits:
            return self._schedule.current.filler(programme.starts_at_ms, programme.ends_at_ms)
        return programme

    async def _prepare(self, programme: Programme, at: float) -> None:
        if self._next is not None and self._next.programme.identity == programme.identity:
            return
        self._drop(self._next)
        self._next = await self._start(programme, at)

    async def _start(self, programme: Programme, at: float) -> Source | None:
        """A new source, or None when it cannot even be tried."""
        now = self._clock()
        try:
            uri = await self._origins.uri(programme)
            if programme.kind == "slate":
                own = uri if now >= self._plain_until else ""
                words = command.slate(self._settings, self._ffmpeg, own)
            else:
                offset = max(0.0, at - programme.began_at_ms / 1000) if programme.kind == "vod" else 0.0
                silent = programme.source in self._soundless
                words = command.media(self._settings, self._ffmpeg, uri, offset=offset, silent=silent)
            return await Source.start(programme, words, at=at)
        except (command.SourceError, OSError) as error:
            self._note(programme, now, str(error))
            return None

    def _go(self, source: Source, now: float) -> None:
        """Put a source on air, where the publication stands."""
        late = now - source.at > ON_TIME_SECONDS
        live = source.programme.kind in LIVE_KINDS
        frame = CLOCK // self._settings.fps
        wanted = self._ticks(now if late else source.at)
        self._shift = self._joint.gap_free(source.begins(live=live), frame_ticks=frame, wanted=wanted)
        before, self.on_air, self._cut = self.on_air, source, None
        self.since = now
        self._failures.works(source.programme)
        for other in (before, self._stopgap, self._next):
            if other is not source:
                self._drop(other)
        self._next = self._stopgap = None
        self._metrics.switches.labels(source.programme.kind).inc()
        logger.info("on air", extra={"slot": source.programme.slot, "kind": source.programme.kind})
        source.take_over(lambda packets, moment: self._pass_on(source, packets, moment), live=live)
        self.on_change()

    def _pass_on(self, source: Source, packets: list[bytes], moment: int | None) -> None:
        if source is not self.on_air:
            return
        if moment is not None and self._cut is not None and since((moment + self._shift) % WRAP, self._cut) >= 0:
            return
        self._write(self._joint.emit(packets, self._shift))

    def _ticks(self, moment: float) -> int:
        """Where a moment lies on the publication's timeline."""
        return round((moment - self._epoch + BEGIN_SECONDS) * CLOCK) % WRAP

    def _fail(self, source: Source, now: float) -> None:
        programme, words = source.programme, source.trouble
        if NO_SOUND in words and programme.source not in self._soundless and programme.kind != "slate":
            self._soundless.add(programme.source)
            return
        self._note(programme, now, words)

    def _note(self, programme: Programme, now: float, words: str) -> None:
        if programme.kind == "slate":
            self._plain_until = now + 60.0
        self._metrics.failures.labels(programme.kind).inc()
        pause = self._failures.note(programme, now) if programme.kind != "slate" else 0.0
        fields = {"slot": programme.slot, "kind": programme.kind, "words": words, "again_in": round(pause, 1)}
        logger.warning("a source cannot be shown", extra=fields)
        self.on_change()

    def _drop(self, source: Source | None) -> None:
        """End a source without waiting for it."""
        if source is not None:
            task = asyncio.create_task(source.stop())
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)
