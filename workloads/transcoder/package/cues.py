"""Cues of a stream: what the host or the platform announces in sync with the picture; free of IO.

A cue gets its media time when it is taken: that of the next part. Each rendition puts it into its own next part, and
every media playlist names it as a date range, for players that read playlists and not boxes.
"""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workloads.transcoder.package import emsg

MAX_KEPT = 64
CLASS = "dev.haat.cue"


@dataclass(frozen=True, slots=True)
class Cue:
    """An announcement: `at` and `duration` in seconds of media time; `data` is any JSON object."""

    number: int
    id: str
    kind: str
    at: float
    duration: float
    data: dict[str, Any]

    def payload(self) -> bytes:
        """The ID3 tag: `{"id","kind","data"}` as its text."""
        document = {"id": self.id, "kind": self.kind, "data": self.data}
        return emsg.id3(json.dumps(document, separators=(",", ":"), ensure_ascii=False))

    def box(self, timescale: int) -> bytes:
        """The event message box."""
        return emsg.event_message(
            timescale=timescale,
            at=round(self.at * timescale),
            duration=round(self.duration * timescale),
            number=self.number,
            payload=self.payload(),
        )


class Cues:
    """The latest cues; they are numbered, so each rendition knows which ones it has sent."""

    def __init__(self) -> None:
        self._kept: deque[Cue] = deque(maxlen=MAX_KEPT)
        self.count = 0

    def add(self, *, id: str, kind: str, at: float, duration: float, data: dict[str, Any]) -> Cue:
        """Announce something; an id that is known already is the same cue and announced once."""
        known = next((cue for cue in self._kept if cue.id == id), None)
        if known:
            return known
        self.count += 1
        cue = Cue(self.count, id, kind, at, duration, data)
        self._kept.append(cue)
        return cue

    def after(self, number: int) -> list[Cue]:
        """Cues with a higher number."""
        return [cue for cue in self._kept if cue.number > number]

    def since(self, at: float) -> Iterator[Cue]:
        """Cues that are not over before media time `at`."""
        return (cue for cue in self._kept if cue.at + cue.duration >= at)
