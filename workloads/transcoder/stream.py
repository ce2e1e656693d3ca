"""A stream that this pod serves: its renditions, who waits for them, and whether somebody publishes.

Everything runs on one event loop. Viewers' requests wait on a change of a rendition; a publish session begins and ends
an encoder's output. Between sessions the renditions stay, so a reconnecting publisher continues the same playlists.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from workloads.common.cmaf.fragment import Fragment, Init
from workloads.common.mediatime import MEDIA_EPOCH_SECONDS
from workloads.transcoder.config import Ladder, StreamSpec
from workloads.transcoder.encode.command import AUDIO, EncodePlan
from workloads.transcoder.encode.ladder import EncodedRung
from workloads.transcoder.lead import Lead
from workloads.transcoder.package.captions import Caption, Captions
from workloads.transcoder.package.cues import Cue, Cues
from workloads.transcoder.package.feed import Feed
from workloads.transcoder.package.grid import Grid, SourceGrid
from workloads.transcoder.package.playlist import Variant
from workloads.transcoder.package.rendition import Rendition, initial_msn
from workloads.transcoder.protect.protector import Protector
from workloads.transcoder.source import Meter, Source

_GAP_SECONDS = 0.05
_REPLACEMENT_SECONDS = 10.0
_ANY = ""


class Stream:
    """Shared by the publisher's session, the origin, the studio and the heartbeat.

    `spec` and `max_bytes` may be replaced at any time; a new ladder applies at the next publish session. `retired` is
    set when another pod has the stream: what is there can still be read, and nobody waits here for more. While a rung
    is `shed`, the next smaller one stands in for it: its playlist goes on, and the master playlist does not name it.
    `input_time` is the media time of the publisher's newest frame.
    """

    def __init__(
        self,
        spec: StreamSpec,
        *,
        window_seconds: float,
        max_bytes: int,
        wall: Callable[[], float] = time.time,
        protector: Protector | None = None,
    ) -> None:
        self.spec = spec
        self.max_bytes = max_bytes
        self.retired = False
        self.renditions: dict[str, Rendition] = {}
        self.feeds: dict[str, Feed] = {}
        self.rungs: dict[str, EncodedRung] = {}
        self.shed: dict[str, EncodedRung] = {}
        self.frames_dropped = 0
        self.input_time = 0.0
        self.protector = protector
        self.cues = Cues()
        self.captions = Captions(spec.captions)
        self.source = Source()
        self.input = Meter()
        self.lead = Lead()
        self.output: dict[str, Meter] = {}
        self.receiving = False
        self.since_ms = 0
        self.last_media_ms = 0
        self.protocol = "rtmp"
        self.on_transition: Callable[[], None] = lambda: None
        self._window_seconds = window_seconds
        self._wall = wall
        self._began = wall()
        self._first_msn: int | None = None
        self._ladder: Ladder | None = None
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._stand_ins: dict[str, tuple[str, ...]] = {}
        self._was_playable = False

    @property
    def window_seconds(self) -> float:
        """How much of the past is listed."""
        return self._window_seconds

    def wall(self) -> float:
        """Epoch seconds."""
        return self._wall()

    @property
    def ladder(self) -> Ladder:
        """The ladder of the current or last session; before the first one, what is wanted."""
        return self._ladder or self.spec.ladder

    @property
    def playable(self) -> bool:
        """Whether every rendition of the current or last session has a whole segment."""
        return bool(self.renditions) and all(rendition.segments for rendition in self.renditions.values())

    @property
    def expecting(self) -> bool:
        """Whether media is there or about to come: somebody publishes, or this pod may be a replacement."""
        starting = self._wall() - self._began < _REPLACEMENT_SECONDS
        return not self.retired and (self.receiving or starting)

    def has_segments(self, name: str) -> bool:
        """Whether the rendition has a whole segment."""
        rendition = self.renditions.get(name)
        return rendition is not None and bool(rendition.segments)

    def media_time(self, backlog_seconds: float = 0.0) -> float:
        """Media time of a frame that was made `backlog_seconds` ago; never before what is already published."""
        published = max((rendition.last_time for rendition in self.renditions.values()), default=0.0)
        wanted = self._wall() - MEDIA_EPOCH_SECONDS - backlog_seconds
        return max(wanted, published + _GAP_SECONDS) if published else wanted

    def publishing(self) -> None:
        """A publisher was accepted."""
        self.receiving = True
        self.since_ms = int(self._wall() * 1000)
        self.input = Meter()
        self.on_transition()

    def begin(self, plan: EncodePlan, source: Source, grid: Grid | SourceGrid | None = None) -> None:
        """An encoder with this plan starts; `grid` is the session's, the plan's own without it."""
        self.source = source
        self._ladder = plan.ladder
        if self._first_msn is None:
            # Dated by the first encode, not by the pod: a warm pod may be older than the one that it takes over from.
            self._first_msn = initial_msn(self._wall())
        self._forget_rungs(plan)
        self.rungs = {rung.name: rung for rung in plan.rungs}
        self.shed = {rung.name: rung for rung in plan.shed}
        self._stand_ins = {plan.stand_in: tuple(self.shed)} if plan.shed else {}
        grid = grid or Grid(plan.offset_seconds, plan.first_cut_seconds, plan.ladder.cut_seconds)
        per_rendition = self.max_bytes // max(1, len(plan.names) + len(self.shed))
        sequence = max((other.next_discontinuity_sequence for other in self.renditions.values()), default=0)
        for name in (*self.shed, *plan.names):
            rendition = self._rendition(name, self._first_msn, plan.ladder.part_seconds, sequence)
            rendition.part_seconds, rendition.max_bytes = plan.ladder.part_seconds, per_rendition
            start = plan.starts.get(plan.stand_in if name in self.shed else name)
            rendition.begin(grid, None if start is None else plan.offset_seconds + start)
            self.feeds.setdefault(name, Feed(video=name != AUDIO)).begin()
            self.output[name] = Meter()

    def _rendition(self, name: str, first_msn: int, part_seconds: float, sequence: int) -> Rendition:
        rendition = self.renditions.get(name)
        if rendition is None:
            rendition = self.renditions[name] = Rendition(
                name,
                first_msn=first_msn,
                part_seconds=part_seconds,
                window_seconds=self._window_seconds,
                max_bytes=self.max_bytes,
                video=name != AUDIO,
                discontinuity_sequence=sequence,
                cues=self.cues,
                protector=self.protector,
            )
        return rendition

    def media_arrived(self, size: int, frames: int) -> None:
        """Count what the publisher just sent."""
        self.last_media_ms = int(self._wall() * 1000)
        self.input.add(size, frames)

    def arrived_at(self, media_time: float) -> None:
        """Media of this time, and nothing newer, has come."""
        self.input_time = media_time
        self.lead.add(media_time, self._wall() - MEDIA_EPOCH_SECONDS)

    def encoded(self, name: str, item: Init | Fragment) -> None:
        """The encoder's sink."""
        if isinstance(item, Fragment):
            self.output[name].add(len(item.data), len(item.samples))
        for target in (name, *self._stand_ins.get(name, ())):
            rendition, feed = self.renditions[target], self.feeds[target]
            if isinstance(item, Init):
                rendition.add_init(item)
                feed.add_init(item)
                continue
            feed.add(item)
            if rendition.add(item):
                self._changed(target)

    def lateness(self) -> float:
        """Seconds of media that the publisher has sent and the slowest rendition has not published."""
        published = [self.renditions[name].last_time for name in self.rungs if name in self.renditions]
        return max(0.0, self.input_time - min(published)) if published and self.receiving else 0.0

    def finish(self) -> None:
        """The publisher is gone and its encoder ended."""
        self.receiving = False
        for name, rendition in self.renditions.items():
            rendition.finish()
            self._changed(name)
        self.on_transition()

    def retire(self) -> None:
        """Another pod has the stream now: whoever waits is told at once."""
        self.retired = True
        self._wake(*self._waiters)
        self.close_feeds()

    def close_feeds(self) -> None:
        """Whoever reads frames here has to look elsewhere."""
        for feed in self.feeds.values():
            feed.close()

    def announce(self, *, id: str, kind: str, duration: float, data: dict[str, Any]) -> Cue:
        """Say something with the next part of every rendition."""
        at = max((rendition.last_time for rendition in self.renditions.values()), default=0.0)
        return self.cues.add(id=id, kind=kind, at=at, duration=duration, data=data)

    def caption(self, text: str, language: str, *, delay: float, duration: float) -> float:
        """Caption what was said `delay` seconds ago, or from the growing segment on; the media time it begins at."""
        reference = self.reference
        current = reference.current if reference else None
        begin = max(self.input_time - delay, current.start if current else 0.0)
        self.captions.add(Caption(begin, begin + duration, language, text))
        return begin

    @property
    def reference(self) -> Rendition | None:
        """The video rendition whose segments those of captions follow."""
        name = next(iter(self.rungs), "")
        return self.renditions.get(name)

    def variants(self) -> list[Variant]:
        """Video renditions, largest first, as the multivariant playlist lists them."""
        nominal = {rung.name: rung for rung in self.ladder.rungs}
        return [
            Variant(self.renditions[name], nominal[name].video_kbps, self.frame_rate(rung))
            for name, rung in self.rungs.items()
            if name in self.renditions and name in nominal
        ]

    def frame_rate(self, rung: EncodedRung) -> float:
        """Frames per second of a rung: its limit, or what the source declares or was measured to have."""
        return rung.fps or self.source.fps or round(self.input.fps(), 2)

    def speed(self) -> float:
        """Encoded frames per received frame over the last seconds; 1.0 keeps up."""
        received = self.input.fps()
        encoded = [self.output[rung.name].fps() / (rung.fps or received or 1) for rung in self.rungs.values()]
        return round(min(encoded), 2) if encoded and received else 0.0

    async def wait(self, name: str, condition: Callable[[], bool], timeout_seconds: float) -> bool:
        """Wait until `condition` holds after a change of the rendition; False when it does not in time.

        An empty name waits for a change of any rendition.
        """
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while not condition():
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or self.retired:
                return False
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiters = self._waiters.setdefault(name, set())
            waiters.add(waiter)
            try:
                await asyncio.wait_for(waiter, left)
            except TimeoutError:
                return condition()
            finally:
                waiters.discard(waiter)
        return True

    def _forget_rungs(self, plan: EncodePlan) -> None:
        """A rung that left the ladder leaves with its window; one that only this source has no use for stays."""
        kept = {AUDIO, *plan.names, *(rung.name for rung in plan.ladder.rungs), *(rung.name for rung in plan.shed)}
        for name in self.renditions.keys() - kept:
            del self.renditions[name]
            self.feeds.pop(name).close()
            self.output.pop(name, None)
            self._wake(name)

    def _wake(self, *names: str) -> None:
        for name in names:
            for waiter in self._waiters.pop(name, set()):
                if not waiter.done():
                    waiter.set_result(None)

    def _changed(self, name: str) -> None:
        self._wake(name, _ANY)
        if self.playable != self._was_playable:
            self._was_playable = self.playable
            self.on_transition()
