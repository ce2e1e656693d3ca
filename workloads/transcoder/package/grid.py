"""Where segments are cut: one grid of media time for all renditions of a session; free of IO.

The trap is a cut that only some renditions make: players could not switch there, and numbers of segments would drift
apart. So cuts are decided before the encoder sees the frame, and every rendition asks the same grid.
"""

import math
from collections import deque
from dataclasses import dataclass

TOLERANCE_SECONDS = 0.0015
_KEPT_CUTS = 256
_EARLIEST = 0.75


@dataclass(frozen=True, slots=True)
class Grid:
    """Cuts first after `first_seconds`, then every `seconds`, from media time `origin` on."""

    origin: float
    first_seconds: float
    seconds: float

    def next_cut(self, at: float) -> float:
        """The first cut after media time `at`."""
        passed = at - self.origin
        if passed < self.first_seconds - TOLERANCE_SECONDS:
            return self.origin + self.first_seconds
        return self.origin + (math.floor(passed / self.seconds + 1e-6) + 1) * self.seconds


class SourceGrid:
    """Cuts at key frames of the source, for a source that is passed through: about every `seconds`.

    `key_frame` is told of each key frame when it is received, so a cut is known before its frame leaves the encoder.
    """

    def __init__(self, origin: float, seconds: float) -> None:
        self.origin = origin
        self._seconds = seconds
        self._cuts: deque[float] = deque(maxlen=_KEPT_CUTS)
        self._last = origin

    def key_frame(self, at: float) -> None:
        """The source has a key frame at media time `at`."""
        if at - self._last >= self._seconds * _EARLIEST:
            self._cuts.append(at)
            self._last = at

    def next_cut(self, at: float) -> float:
        """The first cut after media time `at`; infinity while it is not known."""
        return next((cut for cut in self._cuts if cut > at + TOLERANCE_SECONDS), math.inf)
