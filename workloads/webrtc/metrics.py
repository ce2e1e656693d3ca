"""What Prometheus learns about viewers and publishers."""

from collections.abc import Callable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """Counters and gauges of one process. What the hot path counts is read from it when it is scraped (`watch`)."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self.viewers = Gauge("haat_webrtc_viewers", "Sessions of viewers", ["stream"], registry=registry)
        self.publishers = Gauge("haat_webrtc_publishers", "Sessions of publishers", registry=registry)
        self.refused = Counter("haat_webrtc_refused", "Offers refused", ["kind", "code"], registry=registry)
        self.ended = Counter("haat_webrtc_ended", "Sessions that ended by themselves", ["reason"], registry=registry)
        self.nacks = Counter("haat_webrtc_nacks", "Packets that viewers missed", registry=registry)
        self.resent = Counter("haat_webrtc_resent", "Packets sent again", registry=registry)
        self.key_frames = Counter("haat_webrtc_key_frames_wanted", "Picture losses of viewers", registry=registry)
        self.switches = Counter("haat_webrtc_rung_switches", "Viewers put on another rung", registry=registry)
        self.feed_failures = Counter("haat_webrtc_feed_failures", "Feeds that broke", registry=registry)
        self.estimate = Histogram(
            "haat_webrtc_estimate_bps",
            "Bandwidth estimates of viewers, one a second each",
            buckets=(250e3, 500e3, 1e6, 2e6, 4e6, 8e6, 16e6, 32e6),
            registry=registry,
        )

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Export a number of the port."""
        Gauge(f"haat_webrtc_{name}", text, registry=self._registry).set_function(read)
