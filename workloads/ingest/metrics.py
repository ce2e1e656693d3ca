"""What Prometheus learns about publishers."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge


class Metrics:
    """Counters and gauges of one ingest process."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.connections = Gauge("haat_ingest_connections", "Open RTMP connections", registry=registry)
        self.publishers = Gauge("haat_ingest_publishers", "Connections that publish", registry=registry)
        self.pulls = Gauge("haat_ingest_pulls", "Streams that this pod pulls", registry=registry)
        self.bytes = Counter("haat_ingest_bytes", "Bytes received from publishers", registry=registry)
        self.messages = Counter("haat_ingest_media_messages", "Audio, video and data messages", registry=registry)
        self.refused = Counter("haat_ingest_refused", "Publishers refused", ["reason"], registry=registry)
        self.errors = Counter(
            "haat_ingest_protocol_errors", "Connections closed for a broken protocol", ["stage"], registry=registry
        )
        self.reconnects = Counter(
            "haat_ingest_upload_reconnects", "Uploads replaced while the publisher stayed", registry=registry
        )
