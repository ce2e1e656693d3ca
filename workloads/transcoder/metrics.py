"""What Prometheus learns about the encode; gauges are read from the stream when they are scraped."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from workloads.transcoder.stream import Stream


class Metrics:
    """Counters and gauges of one transcoder process."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self.encoder_failures = Counter(
            "haat_transcoder_encoder_failures", "Encoders that ended while a publisher was live", registry=registry
        )
        self.origin_requests = Counter(
            "haat_transcoder_origin_requests", "Requests to the origin", ["kind", "status"], registry=registry
        )
        self.origin_bytes = Counter("haat_transcoder_origin_bytes", "Bytes that the origin sent", registry=registry)

    def watch(self, stream: Stream) -> None:
        """Export the stream's state."""
        gauges = {
            "receiving": ("Whether a publisher is live", lambda: float(stream.receiving)),
            "playable": ("Whether every rendition has a segment", lambda: float(stream.playable)),
            "speed": ("Encoded frames per received frame", stream.speed),
            "input_kbps": ("Bit rate of the publisher", lambda: stream.input.kbps()),
        }
        for name, (text, read) in gauges.items():
            Gauge(f"haat_transcoder_{name}", text, registry=self._registry).set_function(read)
