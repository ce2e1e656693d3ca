"""The SRT listener with what it needs of this process: keys, routes, metrics."""

import asyncio
import logging

from workloads.common.publication.names import StreamKeys
from workloads.common.publication.relay import PublishRefused
from workloads.common.publication.routes import Routes, RouteUnavailable
from workloads.ingest.config import IngestSettings
from workloads.ingest.metrics import Metrics
from workloads.ingest.srt.handshake import Rejection
from workloads.ingest.srt.listener import Refused, SrtListener
from workloads.ingest.transport import TransportPublication

_REASONS = {
    "key": Rejection.UNAUTHORIZED,
    "taken": Rejection.CONFLICT,
    "address": Rejection.FORBIDDEN,
    "protocol": Rejection.FORBIDDEN,
}

logger = logging.getLogger(__name__)


class SrtServer:
    """Listens on the pod's address until `close`."""

    def __init__(self, settings: IngestSettings, routes: Routes, keys: StreamKeys, metrics: Metrics) -> None:
        self._settings = settings
        self._routes = routes
        self._keys = keys
        self._metrics = metrics
        self._listener: SrtListener | None = None
        self._publishers = 0
        self.port = 0

    async def start(self) -> None:
        """Bind and listen."""
        listener = SrtListener(
            self._find,
            self._begin,
            latency_ms=self._settings.srt_latency_ms,
            max_publishers=self._settings.max_connections,
            on_change=self._changed,
            on_refused=lambda label: self._metrics.refused.labels(label).inc(),
            on_bytes=self._metrics.bytes.inc,
        )
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: listener, local_addr=(self._settings.pod_ip, self._settings.srt_port)
        )
        self._listener = listener
        self.port = int(transport.get_extra_info("sockname")[1])

    async def close(self) -> None:
        """End every publication in order."""
        if self._listener:
            await self._listener.close()

    async def _find(self, stream: str) -> tuple[str, ...]:
        try:
            return await self._keys.find(stream)
        except RouteUnavailable as error:
            logger.warning("keys cannot be looked up: %s", error, extra={"stream": stream})
            raise Refused(Rejection.DOWN, "not_ready") from error

    async def _begin(self, stream: str, key: str, peer: str) -> TransportPublication:
        try:
            return await TransportPublication.begin(
                self._routes, key, protocol="srt", max_kbps=self._settings.max_publish_kbps, peer=peer
            )
        except PublishRefused as error:
            raise Refused(_REASONS.get(error.reason, Rejection.DOWN), error.reason) from error

    def _changed(self, count: int) -> None:
        self._metrics.publishers.inc(count - self._publishers)
        self._publishers = count
