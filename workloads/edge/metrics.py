"""What Prometheus learns about the edge."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from workloads.edge.cache import CoalescingCache


class Metrics:
    """Counters and gauges of one edge process."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self._requests = Counter("haat_edge_requests", "Requests of viewers", ["kind", "status"], registry=registry)
        self._bytes = Counter("haat_edge_bytes", "Bytes sent to viewers", ["kind"], registry=registry)
        self.origin_failures = Counter("haat_edge_origin_failures", "Requests without an origin", registry=registry)

    def count(self, kind: str, status: int, size: int) -> None:
        """One answer to a viewer."""
        self._requests.labels(kind, str(status)).inc()
        self._bytes.labels(kind).inc(size)

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
