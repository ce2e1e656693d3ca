"""What Prometheus learns from the probe."""

from prometheus_client import REGISTRY, CollectorRegistry, Gauge


class Metrics:
    """Gauges by stream."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.latency = Gauge(
            "haat_probe_latency_seconds",
            "From the platform's ingest to a player's screen, over the last 15 s",
            ["stream", "quantile"],
            registry=registry,
        )
        self.startup = Gauge(
            "haat_probe_startup_seconds", "From the first request to the first part", ["stream"], registry=registry
        )
        self.stalls = Gauge("haat_probe_stalls", "Playlists that came too late", ["stream"], registry=registry)

    def set(self, stream: str, report: dict[str, int]) -> None:
        """The figures of a stream."""
        self.latency.labels(stream, "0.5").set(report["latency_p50_ms"] / 1000)
        self.latency.labels(stream, "0.95").set(report["latency_p95_ms"] / 1000)
        self.startup.labels(stream).set(report["startup_ms"] / 1000)
        self.stalls.labels(stream).set(report["stalls"])

    def forget(self, stream: str) -> None:
        """A stream is over."""
        for labels in ((self.latency, (stream, "0.5")), (self.latency, (stream, "0.95"))):
            _remove(*labels)
        _remove(self.startup, (stream,))
        _remove(self.stalls, (stream,))


def _remove(gauge: Gauge, labels: tuple[str, ...]) -> None:
    try:
        gauge.remove(*labels)
    except KeyError:
        return
