"""What a returning client gets: everything it missed, or a snapshot that says so. Never a part.

The ring answers most; the log in the broker answers those who were away longer, and however many of them come at once,
one read serves them all.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

from workloads.fanout.ring import Entry, Ring


@dataclass(frozen=True, slots=True)
class Position:
    """Where a client stands in a room's history."""

    epoch: str
    offset: int


def from_ring(ring: Ring, since: Position, until: int) -> list[Entry] | None:
    """The missed events from memory; None when the ring cannot tell."""
    if since.epoch != ring.epoch:
        return None
    return ring.between(since.offset, until)


def may_be_in_log(ring: Ring, since: Position, until: int) -> bool:
    """Whether a read of the log can help: the same history, and not ahead of it."""
    return since.epoch == ring.epoch and 0 <= since.offset <= until


def splice(log: Sequence[Entry], ring: Ring, since: Position, until: int) -> list[Entry] | None:
    """The missed events from the log's read and, for those that came after it, from the ring; None unless complete."""
    if since.epoch != ring.epoch:
        return None
    by_offset = {entry.offset: entry for entry in log if entry.epoch == since.epoch}
    found = []
    for offset in range(since.offset + 1, until + 1):
        entry = by_offset.get(offset) or ring.at(offset)
        if entry is None:
            return None
        found.append(entry)
    return found


class SingleFlight:
    """Joins calls with the same key while one is under way."""

    def __init__(self) -> None:
        self._flights: dict[str, asyncio.Task[list[Entry]]] = {}

    async def do(self, key: str, call: Callable[[], Coroutine[None, None, list[Entry]]]) -> list[Entry]:
        """The result of `call`, or of the one that is under way; a waiter that gives up does not end it."""
        task = self._flights.get(key)
        if task is None:
            task = self._flights[key] = asyncio.create_task(call())
            task.add_done_callback(lambda _: self._flights.pop(key, None))
        return await asyncio.shield(task)
