"""How the custom resources stand, for alerts: conditions by kind, and how long each one has not been ready.

Collected from the cache when Prometheus asks, so that nothing has to be kept up to date between two scrapes.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

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
        for body in self._cache.bodies():
            kind, metadata, status = body["kind"], body["metadata"], body.get("status") or {}
            for condition in status.get("conditions") or ():
                counts[(kind, condition["type"], condition["status"])] += 1
                if condition["type"] == "Ready" and condition["status"] != "True" and status.get("phase") not in QUIET:
                    since = max(0.0, now - epoch(condition["lastTransitionTime"]))
                    waiting.add_metric([kind, metadata.get("namespace", ""), metadata["name"]], since)
        totals = GaugeMetricFamily(
            "haat_cr_condition", "Resources by condition and its status.", labels=["kind", "type", "status"]
        )
        for key, count in sorted(counts.items()):
            totals.add_metric(list(key), count)
        yield totals
        yield waiting


QUIET = ("Scheduled", "Standby", "Ended", "Draining", "Completed", "Cancelled", "Suspended", "Terminating", "Cooldown")
"""Nobody waits for these: a stream without a publisher is not ready, and nobody is surprised."""
