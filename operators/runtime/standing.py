"""How the custom resources stand, for alerts: conditions by kind, and how long each one has not been ready.

Collected from the cache when Prometheus asks, so that nothing has to be kept up to date between two scrapes.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from operators.api.base import Condition, Resource
from operators.core.times import epoch
from operators.runtime.cache import Cache


class Standing(Collector):
    """`haat_cr_condition` and `haat_cr_not_ready_seconds`."""

    def __init__(self, cache: Cache, clock: Callable[[], float] = time.time) -> None:
        self._cache = cache
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """The two families as of now."""
        counts: Counter[tuple[str, str, str]] = Counter()
        waiting = GaugeMetricFamily(
            "haat_cr_not_ready_seconds",
            "Since when a resource that should be ready is not.",
            labels=["kind", "namespace", "name"],
        )
        now = self._clock()
        for resource in self._resources():
            conditions: tuple[Condition, ...] = resource.status.conditions  # type: ignore[attr-defined]
            for condition in conditions:
                counts[(resource.kind_name, condition.type, condition.status)] += 1
                if condition.type == "Ready" and condition.status != "True" and _expected(resource):
                    since = max(0.0, now - epoch(condition.last_transition_time))
                    waiting.add_metric([resource.kind_name, resource.metadata.namespace, resource.metadata.name], since)
        totals = GaugeMetricFamily(
            "haat_cr_condition", "Resources by condition and its status.", labels=["kind", "type", "status"]
        )
        for key, count in sorted(counts.items()):
            totals.add_metric(list(key), count)
        yield totals
        yield waiting

    def _resources(self) -> Iterator[Resource]:
        yield from self._cache.channels()
        yield from self._cache.streams()
        yield from self._cache.sales()


QUIET = ("Scheduled", "Standby", "Ended", "Draining", "Completed", "Cancelled", "Suspended", "Terminating", "Cooldown")


def _expected(resource: Resource) -> bool:
    """Whether somebody waits for it: a stream without a publisher is not ready, and nobody is surprised."""
    phase = resource.status.phase  # type: ignore[attr-defined]
    return str(phase or "") not in QUIET
