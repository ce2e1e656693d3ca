"""What Prometheus learns about the programme."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter


class Metrics:
    """Counters of one playout."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.switches = Counter("haat_playout_switches", "Sources put on air", ["kind"], registry=registry)
        self.failures = Counter(
            "haat_playout_source_failures", "Sources that could not be shown", ["kind"], registry=registry
        )
        self.connections = Counter("haat_playout_connections", "Connections made to the ingest", registry=registry)
