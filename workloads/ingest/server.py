"""The RTMP and RTMPS listeners: accept connections up to a limit, and end them in order when the process stops."""

import asyncio

from workloads.common.publication.routes import Routes
from workloads.ingest.certificate import Certificate
from workloads.ingest.config import IngestSettings
from workloads.ingest.connection import Connection
from workloads.ingest.metrics import Metrics

_CLOSE_TIMEOUT_SECONDS = 5.0


class RtmpServer:
    """Listens on the pod's address until `close`."""

    def __init__(self, settings: IngestSettings, routes: Routes, metrics: Metrics) -> None:
        self._settings = settings
        self._routes = routes
        self._metrics = metrics
        self._server: asyncio.Server | None = None
        self._secure: asyncio.Server | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._connections: set[Connection] = set()

    async def start(self) -> None:
        """Bind and listen; CertificateError when RTMPS is wanted and cannot be had."""
        loop, settings = asyncio.get_running_loop(), self._settings
        if settings.rtmps_port:
            certificate = Certificate(settings.tls_chain_file, settings.tls_key_file)
            self._secure = await loop.create_server(
                self._accept,
                settings.pod_ip,
                settings.rtmps_port,
                ssl=certificate.context,
                ssl_handshake_timeout=settings.handshake_timeout_seconds,
            )
            self._renewing = asyncio.create_task(certificate.watch())
        self._server = await loop.create_server(self._accept, settings.pod_ip, settings.rtmp_port)

    @property
    def port(self) -> int:
        """The bound port."""
        if self._server is None:
            raise RuntimeError("not started")
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and end every publication in order."""
        if self._renewing:
            self._renewing.cancel()
        for server in (self._server, self._secure):
            if server:
                server.close()
        connections = list(self._connections)
        for connection in connections:
            connection.leave()
        if connections:
            await asyncio.wait([connection.ended for connection in connections], timeout=_CLOSE_TIMEOUT_SECONDS)

    def _accept(self) -> asyncio.BaseProtocol:
        if len(self._connections) >= self._settings.max_connections:
            self._metrics.refused.labels("connections").inc()
            return _Refusal()
        connection = Connection(self._routes, self._metrics, self._settings)
        self._connections.add(connection)
        connection.ended.add_done_callback(lambda _: self._connections.discard(connection))
        return connection


class _Refusal(asyncio.Protocol):
    """Closes at once: the process has as many peers as it may have."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close."""
        transport.close()
