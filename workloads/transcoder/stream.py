"""The stream that this pod serves: its renditions, who waits for them, and whether somebody publishes.

Everything runs on one event loop. Viewers' requests wait on a change of a rendition; a publish session begins and ends
an encoder's output. Between sessions the renditions stay, so a reconnecting publisher continues the same playlists.
"""

import asyncio
import time
from collections.abc import Callable

from workloads.transcoder.command import AUDIO, EncodePlan
from workloads.transcoder.config import StreamSpec
from workloads.transcoder.fragment import Fragment, Init
from workloads.transcoder.ladder import EncodedRung
from workloads.transcoder.playlist import Variant
from workloads.transcoder.rendition import MEDIA_EPOCH_SECONDS, Grid, Rendition, initial_msn
from workloads.transcoder.source import Meter, Source

_GAP_SECONDS = 0.05
_REPLACEMENT_SECONDS = 10.0
_ANY = ""


class Stream:
    """Shared by the publisher's session, the origin, the studio and the heartbeat."""

    def __init__(
        self,
        spec: StreamSpec,
        *,
        window_seconds: float,
        max_bytes: int,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.spec = spec
        self.renditions: dict[str, Rendition] = {}
        self.rungs: dict[str, EncodedRung] = {}
        self.source = Source()
        self.input = Meter()
        self.output: dict[str, Meter] = {}
        self.receiving = False
        self.since_ms = 0
        self.last_media_ms = 0
        self.protocol = "rtmp"
        self.on_transition: Callable[[], None] = lambda: None
        self._window_seconds = window_seconds
        self._max_bytes = max_bytes
        self._wall = wall
        self._began = wall()
        self._first_msn = initial_msn(self._began)
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._was_playable = False

    @property
    def playable(self) -> bool:
        """Whether every rendition of the current or last session has a whole segment."""
        return bool(self.renditions) and all(rendition.segments for rendition in self.renditions.values())

    @property
    def expecting(self) -> bool:
        """Whether media is there or about to come: somebody publishes, or this pod may be a replacement."""
        return self.receiving or self._wall() - self._began < _REPLACEMENT_SECONDS

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

    def begin(self, plan: EncodePlan, source: Source) -> None:
        """An encoder with this plan starts."""
        self.source = source
        self.rungs = {rung.name: rung for rung in plan.rungs}
        grid = Grid(plan.offset_seconds, plan.first_cut_seconds, plan.ladder.cut_seconds)
        per_rendition = self._max_bytes // max(1, len(plan.names))
        for name in plan.names:
            rendition = self.renditions.get(name)
            if rendition is None:
                rendition = self.renditions[name] = Rendition(
                    name,
                    first_msn=self._first_msn,
                    part_seconds=plan.ladder.part_seconds,
                    window_seconds=self._window_seconds,
                    max_bytes=per_rendition,
                    video=name != AUDIO,
                )
            rendition.begin(grid)
            self.output[name] = Meter()

    def media_arrived(self, size: int, frames: int) -> None:
        """Count what the publisher just sent."""
        self.last_media_ms = int(self._wall() * 1000)
        self.input.add(size, frames)

    def encoded(self, name: str, item: Init | Fragment) -> None:
        """The encoder's sink."""
        rendition = self.renditions[name]
        if isinstance(item, Init):
            rendition.add_init(item)
            return
        self.output[name].add(len(item.data), len(item.samples))
        if rendition.add(item):
            self._changed(name)

    def finish(self) -> None:
        """The publisher is gone and its encoder ended."""
        self.receiving = False
        for name, rendition in self.renditions.items():
            rendition.finish()
            self._changed(name)
        self.on_transition()

    def variants(self) -> list[Variant]:
        """Video renditions, largest first, as the multivariant playlist lists them."""
        nominal = {rung.name: rung for rung in self.spec.ladder.rungs}
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
            if left <= 0:
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

    def _changed(self, name: str) -> None:
        for key in (name, _ANY):
            for waiter in self._waiters.pop(key, set()):
                if not waiter.done():
                    waiter.set_result(None)
        if self.playable != self._was_playable:
            self._was_playable = self.playable
            self.on_transition()
