"""What Prometheus learns about the encode; gauges are read from the streams when they are scraped."""

from collections.abc import Callable
from functools import partial

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from workloads.transcoder.stream import Stream

_READ: dict[str, tuple[str, Callable[[Stream], float]]] = {
    "receiving": ("Whether a publisher is live", lambda stream: float(stream.receiving)),
    "playable": ("Whether every rendition has a segment", lambda stream: float(stream.playable)),
    "speed": ("Encoded frames per received frame", lambda stream: stream.speed()),
    "lateness_seconds": ("Media that was received and is not published yet", lambda stream: stream.lateness()),
    "rungs_shed": ("Rungs that overload has taken", lambda stream: float(len(stream.shed))),
    "input_kbps": ("Bit rate of the publisher", lambda stream: stream.input.kbps()),
}


class Metrics:
    """Counters and gauges of one transcoder process; label `stream` is a stream id."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.encoder_failures = Counter(
            "haat_transcoder_encoder_failures",
            "Encoders that ended while a publisher was live",
            ["stream"],
            registry=registry,
        )
        self.frames_dropped = Counter(
            "haat_transcoder_frames_dropped",
            "Frames of the publisher that were skipped because the encoder was too far behind",
            ["stream"],
            registry=registry,
        )
        self.origin_requests = Counter(
            "haat_transcoder_origin_requests", "Requests to the origin", ["stream", "kind", "status"], registry=registry
        )
        self.origin_bytes = Counter(
            "haat_transcoder_origin_bytes", "Bytes that the origin sent", ["stream"], registry=registry
        )
        self._gauges = {
            name: Gauge(f"haat_transcoder_{name}", text, ["stream"], registry=registry)
            for name, (text, _) in _READ.items()
        }

    def watch(self, stream: Stream) -> None:
        """Export the stream's state."""
        for name, (_, read) in _READ.items():
            self._gauges[name].labels(stream.spec.stream).set_function(partial(read, stream))
        self.encoder_failures.labels(stream.spec.stream)
        self.frames_dropped.labels(stream.spec.stream)

    def forget(self, stream: Stream) -> None:
        """The stream has left this process: its series end, so that their number stays bounded."""
        counters = (self.encoder_failures, self.frames_dropped, self.origin_requests, self.origin_bytes)
        for metric in (*self._gauges.values(), *counters):
            metric.remove_by_labels({"stream": stream.spec.stream})
