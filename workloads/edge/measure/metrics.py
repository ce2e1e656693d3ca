"""What Prometheus learns about the edge.

Requests are counted in plain integers, because a client library's counters would cost the hot path more than the
request itself; a collector shows them when it is asked.
"""

from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from workloads.edge.deliver.cache import CoalescingCache
from workloads.edge.limit.overload import Overload
from workloads.edge.measure.meter import Meter


class Metrics(Collector):
    """Counters and gauges of one edge process."""

    def __init__(self, meter: Meter, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self._meter = meter
        self._cells: dict[tuple[str, int], list[int]] = {}
        self.origin_failures = Counter("haat_edge_origin_failures", "Requests without an origin", registry=registry)
        registry.register(self)

    def count(self, kind: str, status: int, size: int, stream: str = "") -> None:
        """One answer to a viewer."""
        if stream:
            self._meter.add(stream, size)
        cell = self._cells.get((kind, status))
        if cell is None:
            cell = self._cells[kind, status] = [0, 0]
        cell[0] += 1
        cell[1] += size

    def collect(self) -> Iterator[Metric]:
        """The counts so far."""
        requests = CounterMetricFamily("haat_edge_requests", "Requests of viewers", labels=["kind", "status"])
        sent = CounterMetricFamily("haat_edge_bytes", "Bytes sent to viewers", labels=["kind"])
        bytes_of: dict[str, int] = {}
        for (kind, status), (number, size) in sorted(self._cells.items()):
            requests.add_metric([kind, str(status)], number)
            bytes_of[kind] = bytes_of.get(kind, 0) + size
        for kind, size in bytes_of.items():
            sent.add_metric([kind], size)
        yield requests
        yield sent

    def watch_overload(self, overload: Overload) -> None:
        """Export how near the end the edge is."""
        lag = Gauge("haat_edge_loop_lag_seconds", "Smoothed lag of the event loop", registry=self._registry)
        lag.set_function(lambda: overload.lag)
        shedding = Gauge("haat_edge_shedding", "1 while new viewers are turned away", registry=self._registry)
        shedding.set_function(lambda: float(overload.shedding))

    def watch(self, cache: CoalescingCache) -> None:
        """Export the cache's state."""
        statistics = cache.statistics
        gauges = {
            "bytes": ("Bytes kept", lambda: float(cache.bytes)),
            "hits": ("Requests answered from memory", lambda: float(statistics.hits)),
            "misses": ("Requests that went to an origin", lambda: float(statistics.misses)),
            "coalesced": ("Requests that joined one under way", lambda: float(statistics.coalesced)),
            "evicted": ("Entries dropped for room", lambda: float(statistics.evicted)),
        }
        for name, (text, read) in gauges.items():
            Gauge(f"haat_edge_cache_{name}", text, registry=self._registry).set_function(read)
