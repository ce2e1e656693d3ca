"""What Prometheus learns about recordings."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge


class Metrics:
    """Counters and gauges of one recorder process."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"haat_recorder_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"haat_recorder_{name}", text, labels, registry=registry)

        self.streams = gauge("streams", "Streams that this pod records or finishes")
        self.segments = counter("segments", "Segments stored", "stream")
        self.stored_bytes = counter("stored_bytes", "Bytes stored")
        self.dropped = counter("dropped_segments", "Segments given up because the spool was full", "stream")
        self.origin_failures = counter("origin_failures", "Requests to transcoders without an answer")
        self.storage_failures = counter("storage_failures", "Requests to the store without an answer")
        self.storage_up = gauge("storage_up", "1 while the store answers")
        self.spool_bytes = gauge("spool_bytes", "Bytes that wait for the store")
        self.spool_limit = gauge("spool_limit_bytes", "Bytes that may wait for the store")
        self.thumbnails = counter("thumbnails", "Pictures taken")
        self.picture_failures = counter("picture_failures", "Segments without a usable picture")
        self.recordings = gauge("recordings", "Recordings in the store", "namespace")
        self.used_bytes = gauge("used_bytes", "Bytes that ended recordings use in the store", "namespace")
        self.free_bytes = gauge("storage_free_bytes", "Free bytes of the folder that is the store")
        self.finished = counter("finished", "Recordings that were finished")
        self.expired = counter("expired", "Recordings deleted when their retention was over")
        self.clips = counter("clips", "Clips made", "status")
        self.requests = counter("requests", "Requests of viewers", "kind", "status")
        self.storage_up.set(1)
