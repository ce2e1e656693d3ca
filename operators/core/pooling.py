"""Transcoder pools: what a stream costs, which worker takes it, how many workers there should be.

Workers are packed: the fullest one that has room takes the next stream, so that others stay idle and may go.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil

from operators.api.base import seconds
from operators.core.cron import last_before
from operators.core.platform import Buffer, Pool, Rung

_UNITS = ((480, 1), (720, 2), (1080, 4), (1440, 8))
_LARGEST = 16


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as its heartbeat shows it; `units` is its whole capacity."""

    pod: str
    url: str
    units: int
    streams: tuple[str, ...] = ()
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Allocation:
    """A stream's place on a worker. `keys` are SHA-256 of the accepted stream keys, `spec` is stream.json."""

    pool: str
    worker: str
    units: int
    uid: str
    keys: tuple[str, ...] = ()
    spec: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a stream wants of its pool."""

    pool: str
    units: int
    uid: str
    keys: tuple[str, ...]
    spec: str

    def on(self, worker: str) -> Allocation:
        """The wish fulfilled."""
        return Allocation(self.pool, worker, self.units, self.uid, self.keys, self.spec)


@dataclass(frozen=True, slots=True)
class PoolState:
    """A pool at one moment."""

    workers: tuple[Worker, ...] = ()
    used: dict[str, int] = field(default_factory=dict)
    pending_units: int = 0

    @property
    def busy(self) -> int:
        """Workers that have a stream."""
        return sum(1 for units in self.used.values() if units > 0)


def units_of(rungs: Iterable[Rung]) -> int:
    """Capacity units of a ladder."""
    return sum(next((units for height, units in _UNITS if rung.height <= height), _LARGEST) for rung in rungs)


def used_units(allocations: Iterable[Allocation]) -> dict[str, int]:
    """Units in use by worker."""
    used: dict[str, int] = {}
    for allocation in allocations:
        used[allocation.worker] = used.get(allocation.worker, 0) + allocation.units
    return used


def choose(workers: Sequence[Worker], used: dict[str, int], units: int) -> Worker | None:
    """The fullest worker with room; None when the pool has to grow.

    A stream larger than a whole worker gets an empty one rather than none: it will be slow, and says so.
    """
    open_ones = [worker for worker in workers if not worker.draining]
    fitting = [worker for worker in open_ones if used.get(worker.pod, 0) + units <= worker.units]
    if not fitting:
        fitting = [worker for worker in open_ones if units > worker.units and not used.get(worker.pod)]
    return max(fitting, key=lambda worker: (used.get(worker.pod, 0), worker.pod), default=None)


def buffer_at(pool: Pool, now: float) -> Buffer:
    """The buffer of the first schedule window that is open, or the pool's own."""
    for window in pool.schedule:
        began = last_before(window.cron, window.timezone, now=now, within=seconds(window.duration))
        if began is not None and now < began + seconds(window.duration):
            return window.buffer
    return pool.buffer


def wanted_workers(pool: Pool, state: PoolState, now: float) -> int:
    """Workers for what is allocated, what waits, and the buffer; never fewer than are busy."""
    buffer = buffer_at(pool, now)
    waiting = ceil(state.pending_units / pool.capacity_per_worker)
    wanted = state.busy + max(waiting, buffer.wanted(state.busy))
    return max(state.busy, min(max(wanted, buffer.min), buffer.max))
