"""The one definition of the co-view features: what a product view counts for, online and offline.

A viewer's first look at a product within the window counts as one view of it and as one co-view with every other
product that the same viewer looked at in the same stream within the window. Another look inside the window counts
nothing, so reloading a page does not move a ranking; it only keeps the product in the window.

`CoViewTable` applies the definition to a list of events (evaluation, tests). `features.store` applies the same one in
Redis, where several replicas write at once; the parity test holds the two together. Trap avoided: counts without an
upper bound. Product names come from clients, so both sides refuse new names beyond `max_products` and
`max_neighbours`.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

DAY_MS = 86_400_000

Counts = Mapping[str, int]
"""Product -> count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoView:
    """Constants of the definition. A change of one that alters counts needs a new `version`, which is part of every
    key: the counts are then built anew from the retained events."""

    version: str = "1"
    window_seconds: int = 1800
    window_products: int = 20
    """A viewer's latest products that may form pairs: the bound on the work of one event."""
    keep_days: int = 14
    """Daily buckets that an answer reads, today's included."""
    max_products: int = 2000
    """Products per stream and day."""
    max_neighbours: int = 200
    """Products that one product may be paired with, per stream and day."""

    @property
    def window_ms(self) -> int:
        return self.window_seconds * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A viewer looked at a product; `ts_ms` are epoch milliseconds of the writer's clock. The same `id` in the same
    stream is the same event with the same fields, delivered again."""

    id: str
    stream: str
    user: str
    sku: str
    ts_ms: int


class Outcome(StrEnum):
    """What became of one view."""

    COUNTED = "counted"
    REPEATED = "repeated"
    DUPLICATE = "duplicate"
    FULL = "full"


def day_of(ts_ms: int) -> int:
    """Number of the UTC day since the epoch: the name of a bucket."""
    return ts_ms // DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCounts:
    """One stream's bucket of one day, as seen from one product."""

    views: Counts
    pairs: Counts
    """Co-views of the product in question with each other product."""


@dataclass(slots=True)
class CoViewTable:
    """The definition applied in memory, in the order of the events."""

    definition: CoView = field(default_factory=CoView)
    views: dict[tuple[str, int], dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    pairs: dict[tuple[str, int, str], dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _windows: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)

    def apply(self, view: View) -> Outcome:
        """Count one view; the outcome says whether it changed anything."""
        if (view.stream, view.id) in self._seen:
            return Outcome.DUPLICATE
        self._seen.add((view.stream, view.id))
        viewer, span = (view.stream, view.user), self.definition.window_ms
        window = {sku: at for sku, at in self._windows.get(viewer, {}).items() if at >= view.ts_ms - span}
        if view.sku in window:
            self._windows[viewer] = window | {view.sku: max(window[view.sku], view.ts_ms)}
            return Outcome.REPEATED
        self._windows[viewer] = window
        day = day_of(view.ts_ms)
        if not _count(self.views[view.stream, day], view.sku, self.definition.max_products):
            return Outcome.FULL
        for other, at in window.items():
            if at <= view.ts_ms + span:
                self._pair(view.stream, day, view.sku, other)
        window[view.sku] = view.ts_ms
        latest = sorted(window.items(), key=lambda item: (item[1], item[0].encode()))
        self._windows[viewer] = dict(latest[-self.definition.window_products :])
        return Outcome.COUNTED

    def _pair(self, stream: str, day: int, one: str, other: str) -> None:
        """Both directions or neither: the counts stay symmetric at the limit too."""
        left, right, limit = (
            self.pairs[stream, day, one],
            self.pairs[stream, day, other],
            self.definition.max_neighbours,
        )
        if (other in left or len(left) < limit) and (one in right or len(right) < limit):
            _count(left, other, limit)
            _count(right, one, limit)

    def days(self, stream: str, sku: str, *, today: int) -> dict[int, DayCounts]:
        """What an answer about `sku` reads: day -> counts, oldest first; days without counts are left out."""
        wanted = range(today - self.definition.keep_days + 1, today + 1)
        return {
            day: DayCounts(views=self.views[stream, day], pairs=self.pairs.get((stream, day, sku), {}))
            for day in wanted
            if self.views.get((stream, day))
        }


def _count(bucket: dict[str, int], name: str, limit: int) -> bool:
    if name not in bucket and len(bucket) >= limit:
        return False
    bucket[name] = bucket.get(name, 0) + 1
    return True
