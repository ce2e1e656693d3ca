"""One rendition as viewers see it: frames grouped into parts, parts into segments, segments into a sliding window.

Segments of all renditions are cut on one grid of media time, so that a player may switch between them at any boundary.
Media sequence numbers grow with wall-clock time (`initial_msn`), so a transcoder that replaces a dead one never gives
an old name to new bytes: caches may keep every part for as long as they like.
"""

import hashlib
import math
from collections import deque
from dataclasses import dataclass, field

from workloads.common.cmaf.fragment import Fragment, Init, pack_chunk
from workloads.common.mediatime import MEDIA_EPOCH_SECONDS

MSN_PER_SECOND = 2
RETAINED_SEGMENTS = 3
MAX_SEGMENT_BYTES = 48 * 1024 * 1024
_TOLERANCE_SECONDS = 0.0015
_WINDOW_SLACK_SECONDS = 0.05


def initial_msn(now: float) -> int:
    """First media sequence number of a transcoder that starts at `now` (epoch seconds).

    Above every number of an earlier one, as long as segments last half a second on average.
    """
    return max(0, int((now - MEDIA_EPOCH_SECONDS) * MSN_PER_SECOND))


@dataclass(frozen=True, slots=True)
class Grid:
    """Where segments are cut: first after `first_seconds`, then every `seconds`, from media time `origin` on."""

    origin: float
    first_seconds: float
    seconds: float

    def next_cut(self, at: float) -> float:
        """The first cut after media time `at`."""
        passed = at - self.origin
        if passed < self.first_seconds - _TOLERANCE_SECONDS:
            return self.origin + self.first_seconds
        return self.origin + (math.floor(passed / self.seconds + 1e-6) + 1) * self.seconds


@dataclass(frozen=True, slots=True)
class Part:
    """A partial segment: one CMAF chunk. Times are seconds of media time."""

    start: float
    duration: float
    independent: bool
    data: bytes


@dataclass(slots=True)
class Segment:
    """A segment, finished or growing."""

    msn: int
    start: float
    init: str
    discontinuity_sequence: int
    discontinuity: bool
    parts: list[Part] = field(default_factory=list)
    duration: float = 0.0
    size: int = 0

    @property
    def data(self) -> bytes:
        """The whole segment."""
        return b"".join(part.data for part in self.parts)

    def add(self, part: Part) -> None:
        """Append a part."""
        self.parts.append(part)
        self.duration += part.duration
        self.size += len(part.data)


class Rendition:
    """Takes fragments in decode order; `segments` are finished, `current` grows."""

    def __init__(
        self,
        name: str,
        *,
        first_msn: int,
        part_seconds: float,
        window_seconds: float,
        max_bytes: int,
        video: bool = True,
    ) -> None:
        self.name = name
        self.video = video
        self.part_seconds = part_seconds
        self.window_seconds = window_seconds
        self.segments: deque[Segment] = deque()
        self.current: Segment | None = None
        self.inits: dict[str, Init] = {}
        self.init_version = ""
        self.last_time = 0.0
        self.longest_part = 0.0
        self.max_bytes = max_bytes
        self._next_msn = first_msn
        # Begins at zero in each process: media time is one clock over all of them, and players index by this number.
        self._discontinuity_sequence = 0
        self._discontinuity = False
        self._grid = Grid(0.0, 1.0, 1.0)
        self._cut = 0.0
        self._pending: list[Fragment] = []
        self._pending_duration = 0
        self._chunks = 0

    @property
    def init(self) -> Init | None:
        """The latest init segment."""
        return self.inits.get(self.init_version)

    @property
    def open_msn(self) -> int:
        """Number of the growing segment, or of the next one when none grows."""
        return self.current.msn if self.current else self._next_msn

    def begin(self, grid: Grid) -> None:
        """A new encoder's output follows; `grid` says where to cut it."""
        self.finish()
        self._grid = grid
        self._cut = grid.next_cut(grid.origin)
        self._discontinuity = bool(self.segments)

    def add_init(self, init: Init) -> None:
        """The decoder configuration of the fragments that follow."""
        version = hashlib.sha256(init.data).hexdigest()[:12]
        self.inits[version] = init
        self.init_version = version

    def add(self, fragment: Fragment) -> bool:
        """Take the next fragment; True when a part or a segment was finished by it."""
        init = self.init
        if init is None:
            return False
        start = fragment.decode_time / init.timescale
        duration = fragment.duration / init.timescale
        changed = False
        cuttable = fragment.starts_with_sync or not self.video
        if cuttable and start >= self._cut - max(_TOLERANCE_SECONDS, duration / 2):
            changed = self._finish_segment()
            self._cut = self._grid.next_cut(start + max(_TOLERANCE_SECONDS, duration / 2))
        elif self.current and self.current.size > MAX_SEGMENT_BYTES:
            changed = self._finish_segment()
        if self._pending and (self._pending_duration + fragment.duration) / init.timescale > self._part_limit():
            changed = self._finish_part() or changed
        self._pending.append(fragment)
        self._pending_duration += fragment.duration
        self.last_time = start + duration
        # The frame after this one would not fit: the part is whole now, one frame earlier than it would be noticed.
        if (self._pending_duration + fragment.duration) / init.timescale > self._part_limit():
            changed = self._finish_part() or changed
        return changed

    def finish(self) -> bool:
        """The encoder ended: what is pending becomes a short part of a short segment."""
        return self._finish_segment()

    def listed(self) -> list[Segment]:
        """The finished segments inside the window, oldest first."""
        found: list[Segment] = []
        seconds = 0.0
        for segment in reversed(self.segments):
            if seconds >= self.window_seconds - _WINDOW_SLACK_SECONDS:
                break
            found.append(segment)
            seconds += segment.duration
        return found[::-1]

    def segment(self, msn: int) -> Segment | None:
        """The segment with this number, finished or growing, if it is still kept."""
        if self.current and self.current.msn == msn:
            return self.current
        if not self.segments:
            return None
        index = msn - self.segments[0].msn
        return self.segments[index] if 0 <= index < len(self.segments) else None

    def has(self, msn: int, part: int | None) -> bool:
        """Whether a playlist would hold the segment, or that part of it.

        A part beyond the end of a finished segment means the first part of the next one.
        """
        segment = self.segment(msn)
        finished = msn < self.open_msn
        if part is None:
            return finished
        if finished and segment is not None and part >= len(segment.parts):
            return self.has(msn + 1, 0)
        return finished or (segment is not None and part < len(segment.parts))

    def _part_limit(self) -> float:
        return self.part_seconds + _TOLERANCE_SECONDS

    def _finish_part(self) -> bool:
        init = self.init
        if not self._pending or init is None:
            return False
        first = self._pending[0]
        if self.current is None:
            self.current = self._new_segment(first.decode_time / init.timescale)
        self._chunks += 1
        part = Part(
            start=first.decode_time / init.timescale,
            duration=self._pending_duration / init.timescale,
            independent=first.starts_with_sync,
            data=pack_chunk(self._chunks, self._pending),
        )
        self.current.add(part)
        self.longest_part = max(self.longest_part, part.duration)
        self._pending = []
        self._pending_duration = 0
        return True

    def _finish_segment(self) -> bool:
        changed = self._finish_part()
        if self.current is None:
            return changed
        self.segments.append(self.current)
        self.current = None
        self._trim()
        return True

    def _new_segment(self, start: float) -> Segment:
        if self._discontinuity:
            self._discontinuity_sequence += 1
        segment = Segment(
            msn=self._next_msn,
            start=start,
            init=self.init_version,
            discontinuity_sequence=self._discontinuity_sequence,
            discontinuity=self._discontinuity,
        )
        self._discontinuity = False
        self._next_msn += 1
        return segment

    def _trim(self) -> None:
        keep = len(self.listed()) + RETAINED_SEGMENTS
        total = sum(segment.size for segment in self.segments)
        while len(self.segments) > 1 and (len(self.segments) > keep or total > self.max_bytes):
            total -= self.segments.popleft().size
        used = {segment.init for segment in self.segments} | {self.init_version}
        for version in [version for version in self.inits if version not in used]:
            del self.inits[version]
