"""A recording as players see it: renditions on one play time, cut where the media is not continuous; free of IO.

Play time counts what is there: a publisher's pause is no second of it. Discontinuities have to be the same in all
renditions (RFC 8216, 4.3.4.3), though the first frames of picture and sound after a pause differ by some milliseconds,
so that cuts close to each other are one.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from workloads.recorder.index import Minute, Rendition, Segment

HOLE_SECONDS = 0.25
SAME_CUT_SECONDS = 0.3
WHOLE = 0.95


@dataclass(frozen=True, slots=True)
class Placed:
    """A segment, its place in its rendition, the cuts before it, and where it begins on the play time (seconds)."""

    segment: Segment
    number: int
    cuts: int
    at: float


class Timeline:
    """Read only view of a united index."""

    def __init__(self, index: Minute) -> None:
        self._index = index

    @property
    def thumbnails(self) -> dict[int, float]:
        """Slot -> media time of its picture."""
        return self._index.thumbnails

    @cached_property
    def renditions(self) -> dict[str, Rendition]:
        """Those that a player can show from beginning to end: pictures largest first, then sound."""
        lengths = {name: length(segments) for name, segments in self._index.segments.items()}
        kept: dict[str, Rendition] = {}
        for video in (True, False):
            group = {name: item for name, item in self._index.renditions.items() if item.video is video}
            longest = max((lengths[name] for name in group), default=0.0)
            ordered = sorted(group.items(), key=lambda pair: (-min(pair[1].width, pair[1].height), pair[0]))
            kept.update((name, item) for name, item in ordered if lengths[name] >= WHOLE * longest)
        return kept

    @cached_property
    def reference(self) -> str:
        """The rendition whose play time counts: a picture's if there is one; empty without any."""
        return max(self.renditions, key=lambda name: (self.renditions[name].video, self.seconds(name)), default="")

    @cached_property
    def cuts(self) -> list[float]:
        """Media times from which on the media is not the continuation of what is before."""
        found = sorted(
            after.start
            for name in self.renditions
            for before, after in zip(self.segments(name), self.segments(name)[1:], strict=False)
            if after.discontinuity or after.init != before.init or abs(after.start - before.end) > HOLE_SECONDS
        )
        groups: list[float] = []
        for at in found:
            if not groups or at - groups[-1] > SAME_CUT_SECONDS:
                groups.append(at)
        return groups

    def segments(self, name: str) -> list[Segment]:
        """A rendition's segments in order; none for an unknown one."""
        return self._index.segments.get(name, [])

    def seconds(self, name: str) -> float:
        """Play time of a rendition."""
        return length(self.segments(name))

    def placed(self, name: str) -> list[Placed]:
        """A rendition's segments with their places."""
        found, at = [], 0.0
        for number, segment in enumerate(self.segments(name)):
            found.append(Placed(segment, number, self._cuts_before(segment.start), at))
            at += segment.duration
        return found

    @cached_property
    def _reference_placed(self) -> list[Placed]:
        return self.placed(self.reference)

    def play_time(self, media_time: float) -> float | None:
        """Where a media time is played, in seconds; inside a pause the moment after it, None beyond either end."""
        placed = self._reference_placed
        at = bisect.bisect_right(placed, media_time, key=lambda item: item.segment.start) - 1
        if at < 0:
            return None
        item = placed[at]
        inside = media_time - item.segment.start
        if inside <= item.segment.duration:
            return item.at + inside
        return placed[at + 1].at if at + 1 < len(placed) else None

    def media_time(self, play_time: float) -> float | None:
        """The media time that is played then; None beyond either end."""
        placed = self._reference_placed
        at = bisect.bisect_right(placed, play_time, key=lambda item: item.at) - 1
        if at < 0 or play_time > placed[at].at + placed[at].segment.duration:
            return None
        return placed[at].segment.start + play_time - placed[at].at

    @property
    def start(self) -> float:
        """Media time of the beginning; 0 without media."""
        return self._reference_placed[0].segment.start if self._reference_placed else 0.0

    @property
    def end(self) -> float:
        """Media time of the end; 0 without media."""
        return self._reference_placed[-1].segment.end if self._reference_placed else 0.0

    @property
    def bytes(self) -> int:
        """Size of all segments, those of left out renditions too."""
        return sum(segment.size for segments in self._index.segments.values() for segment in segments)

    @property
    def count(self) -> int:
        """Number of all segments."""
        return sum(map(len, self._index.segments.values()))

    def _cuts_before(self, start: float) -> int:
        return bisect.bisect_right(self.cuts, start + SAME_CUT_SECONDS)


def length(segments: Sequence[Segment]) -> float:
    """Play time in seconds."""
    return sum(segment.duration for segment in segments)
