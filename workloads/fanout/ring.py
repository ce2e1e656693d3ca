"""The room's recent events as ready bytes, and what a returning client still lacks of them. Pure.

Offsets in a ring are contiguous, always: an event that does not follow the last one is refused, so whatever a ring
answers is complete.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import msgspec


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the history: `raw` is its JSON, as clients get it."""

    epoch: str
    offset: int
    kind: str
    raw: bytes


class _Heading(msgspec.Struct):
    """The part of an event that the room looks at."""

    event: str
    offset: int = 0
    epoch: str = ""


_HEADING = msgspec.json.Decoder(_Heading)


class BadEvent(ValueError):
    """The broker delivered something that is no event."""


def parse_entry(raw: bytes) -> Entry:
    """An event as the broker delivers it; offset 0 means ephemeral. BadEvent when it is none."""
    try:
        heading = _HEADING.decode(raw)
    except msgspec.DecodeError as error:
        raise BadEvent(str(error)) from error
    if heading.offset < 0 or (heading.offset and not heading.epoch):
        raise BadEvent("an event with an offset must name its epoch")
    return Entry(heading.epoch, heading.offset, heading.event, raw)


class Fit(Enum):
    """How an event stands to the history that a ring knows."""

    NEXT = "next"
    KNOWN = "known"
    HOLE = "hole"
    OTHER_HISTORY = "other history"


class Ring:
    """The last `capacity` events of one epoch."""

    def __init__(self, capacity: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=capacity)
        self.epoch = ""
        self.last = 0

    def reset(self, epoch: str, last: int, entries: Iterable[Entry] = ()) -> None:
        """Begin anew at `last` with the contiguous tail of `entries` that leads there."""
        self._entries.clear()
        self.epoch, self.last = epoch, last
        tail: list[Entry] = []
        expected = last
        for entry in reversed(list(entries)):
            if entry.offset != expected or entry.epoch != epoch:
                break
            tail.append(entry)
            expected -= 1
        self._entries.extend(reversed(tail))

    def fit(self, entry: Entry) -> Fit:
        """Whether the event may be added; an old offset with another content tells of a history that was rewound."""
        if entry.epoch != self.epoch:
            return Fit.OTHER_HISTORY
        if entry.offset == self.last + 1:
            return Fit.NEXT
        if entry.offset > self.last:
            return Fit.HOLE
        known = self.at(entry.offset)
        return Fit.KNOWN if known is None or known.raw == entry.raw else Fit.OTHER_HISTORY

    def add(self, entry: Entry) -> None:
        """Append the next event; ValueError when it is not the next."""
        if self.fit(entry) is not Fit.NEXT:
            raise ValueError(f"offset {entry.offset} does not follow {self.last}")
        self._entries.append(entry)
        self.last = entry.offset

    @property
    def first(self) -> int:
        """The oldest offset held; `last` + 1 when there is none."""
        return self._entries[0].offset if self._entries else self.last + 1

    def at(self, offset: int) -> Entry | None:
        """The event at an offset, while it is held."""
        position = offset - self.first
        return self._entries[position] if 0 <= position < len(self._entries) else None

    def between(self, after: int, until: int) -> list[Entry] | None:
        """Every event with `after` < offset <= `until`; None unless all of them are held."""
        if not self.first - 1 <= after <= until <= self.last:
            return None
        start = after + 1 - self.first
        return [self._entries[position] for position in range(start, start + until - after)]

    def newest(self, count: int, until: int) -> list[Entry]:
        """Up to `count` events that end with `until`."""
        return self.between(max(self.first - 1, until - count), until) or []
