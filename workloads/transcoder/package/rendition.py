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
from workloads.transcoder.package.cues import Cues
from workloads.transcoder.package.grid import TOLERANCE_SECONDS, Grid, SourceGrid
from workloads.transcoder.protect.protector import Protector

MSN_PER_SECOND = 2
RETAINED_SEGMENTS = 3
MAX_SEGMENT_BYTES = 48 * 1024 * 1024
_WINDOW_SLACK_SECONDS = 0.05


def initial_msn(now: float) -> int:
    """First media sequence number of a transcoder that starts at `now` (epoch seconds).

    Above every number of an earlier one, as long as segments last half a second on average.
    """
    return max(0, int((now - MEDIA_EPOCH_SECONDS) * MSN_PER_SECOND))


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
    """Takes fragments in decode order; `segments` are finished, `current` grows; `epochs` tells where each
    discontinuity sequence begins.

    `discontinuity_sequence` of a rendition that is added later is that of the others: players align them by it.
    """

    def __init__(
        self,
        name: str,
        *,
        first_msn: int,
        part_seconds: float,
        window_seconds: float,
        max_bytes: int,
        video: bool = True,
        discontinuity_sequence: int = 0,
        cues: Cues | None = None,
        protector: Protector | None = None,
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
        self._discontinuity_sequence = discontinuity_sequence
        self.epochs: dict[int, float] = {}
        self.protector = protector
        self._cues = cues or Cues()
        self._cues_sent = self._cues.count
        self._discontinuity = False
        self._grid: Grid | SourceGrid = Grid(0.0, 1.0, 1.0)
        self._cut = self._cut_after = 0.0
        self._from = -math.inf
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

    @property
    def next_cut(self) -> float:
        """Media time at which the growing segment will end; infinity while that is not known."""
        return self._cut

    @property
    def next_discontinuity_sequence(self) -> int:
        """The discontinuity sequence of what a new encoder will give."""
        return self._discontinuity_sequence + bool(self.segments or self.current or self._pending)

    def begin(self, grid: Grid | SourceGrid, at: float | None = None) -> None:
        """A new encoder's output follows, from media time `at` on (without: from the grid's origin); `grid` says where
        to cut it. What lies before `at` is published already and is left out."""
        self.finish()
        self._grid = grid
        self._from = -math.inf if at is None else at
        self._cut_after = grid.origin if at is None else at
        self._cut = grid.next_cut(self._cut_after)
        self._discontinuity = bool(self.segments)

    def add_init(self, init: Init) -> None:
        """The decoder configuration of the fragments that follow."""
        version = _version(init)
        self.inits[version] = init
        self.init_version = version

    def add(self, fragment: Fragment) -> bool:
        """Take the next fragment; True when a part or a segment was finished by it."""
        init = self.init
        if init is None:
            return False
        start = fragment.decode_time / init.timescale
        duration = fragment.duration / init.timescale
        if start < self._from - duration / 2:
            return False
        changed = False
        if math.isinf(self._cut):
            self._cut = self._grid.next_cut(self._cut_after)
        cuttable = fragment.starts_with_sync or not self.video
        if cuttable and start >= self._cut - max(TOLERANCE_SECONDS, duration / 2):
            changed = self._finish_segment()
            self._cut_after = start + max(TOLERANCE_SECONDS, duration / 2)
            self._cut = self._grid.next_cut(self._cut_after)
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
        return self.part_seconds + TOLERANCE_SECONDS

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
            data=self._packed(init, self.current.msn),
        )
        self.current.add(part)
        self.longest_part = max(self.longest_part, part.duration)
        self._pending = []
        self._pending_duration = 0
        return True

    def _packed(self, init: Init, msn: int) -> bytes:
        """The pending frames as they are kept, encrypted where that is wanted."""
        data = self._announcements(init.timescale) + pack_chunk(self._chunks, self._pending)
        return self.protector.part(data, init, msn, video=self.video) if self.protector else data

    def _announcements(self, timescale: int) -> bytes:
        """Boxes with the cues that this rendition has not sent yet."""
        boxes = [cue.box(timescale) for cue in self._cues.after(self._cues_sent)]
        self._cues_sent = self._cues.count
        return b"".join(boxes)

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
            init=self._segment_init(),
            discontinuity_sequence=self._discontinuity_sequence,
            discontinuity=self._discontinuity,
        )
        self.epochs.setdefault(self._discontinuity_sequence, start)
        self._discontinuity = False
        self._next_msn += 1
        return segment

    def _segment_init(self) -> str:
        """The version of the init segment that the next segment's viewers need."""
        init = self.init
        if self.protector is None or init is None:
            return self.init_version
        made = self.protector.init(init, self._next_msn)
        version = _version(made)
        self.inits[version] = made
        return version

    def _trim(self) -> None:
        keep = len(self.listed()) + RETAINED_SEGMENTS
        total = sum(segment.size for segment in self.segments)
        while len(self.segments) > 1 and (len(self.segments) > keep or total > self.max_bytes):
            total -= self.segments.popleft().size
        oldest = self.segments[0].discontinuity_sequence if self.segments else 0
        for sequence in [sequence for sequence in self.epochs if sequence < oldest]:
            del self.epochs[sequence]
        used = {segment.init for segment in self.segments} | {self.init_version}
        for version in [version for version in self.inits if version not in used]:
            del self.inits[version]


def _version(init: Init) -> str:
    return hashlib.sha256(init.data).hexdigest()[:12]
