"""What Prometheus learns about the room. Label children are made once: the hot path only adds."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from workloads.fanout.policy import Lane

_LAGS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metrics:
    """Counters and gauges of one fan-out process."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        delivered = Counter("haat_fanout_deliveries", "Events written to sockets", ["lane"], registry=registry)
        self._dropped = Counter("haat_fanout_drops", "Events not written", ["lane", "reason"], registry=registry)
        self._inbound = Counter("haat_fanout_inbound", "Frames of clients", ["kind", "result"], registry=registry)
        self._closed = Counter("haat_fanout_closes", "Sockets that this pod closed", ["code"], registry=registry)
        self._recoveries = Counter("haat_fanout_recoveries", "Joins by how they began", ["source"], registry=registry)
        self.tick_lag = Histogram(
            "haat_fanout_tick_lag_seconds", "From an event's arrival to its writes", buckets=_LAGS, registry=registry
        )
        self.connections = Gauge("haat_fanout_connections", "Open sockets", registry=registry)
        self.viewers = Gauge("haat_fanout_viewers", "Distinct users on this pod", registry=registry)
        self.broker_up = Gauge("haat_fanout_broker_up", "Whether events arrive", registry=registry)
        self._delivered = {lane: delivered.labels(lane.value) for lane in Lane}

    def delivered(self, lane: Lane, count: int) -> None:
        """So many deliveries (events times sockets)."""
        if count:
            self._delivered[lane].inc(count)

    def dropped(self, lane: Lane, reason: str, count: int = 1) -> None:
        """So many deliveries that did not happen."""
        self._dropped.labels(lane.value, reason).inc(count)

    def inbound(self, kind: str, result: str) -> None:
        """One frame of a client and what became of it."""
        self._inbound.labels(kind, result).inc()

    def closed(self, code: int) -> None:
        """One socket that this pod closed."""
        self._closed.labels(str(code)).inc()

    def recovered(self, source: str) -> None:
        """One join: from `ring`, `log`, or with a `snapshot`."""
        self._recoveries.labels(source).inc()
