"""One RTMP peer: bytes from its socket through the session to the relay.

A protocol of callbacks instead of a reading task, because at a hundred reads a second per publisher the task switches
were half of the cost. Reading pauses while a publish request is decided and while the transcoder is slow, so a peer can
never fill this process with bytes.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any, cast

from workloads.common.publication.relay import PublishRefused, Relay
from workloads.common.publication.routes import Routes
from workloads.ingest.config import IngestSettings
from workloads.ingest.metrics import Metrics
from workloads.ingest.session import Media, ProtocolError, PublishEnd, PublishRequest, Session, Unsupported

_LINGER_SECONDS = 0.3
_WATCH_SECONDS = 0.5

logger = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """From the peer's first byte to its last; `ended` is done when its relay is closed too."""

    def __init__(self, routes: Routes, metrics: Metrics, settings: IngestSettings) -> None:
        self._routes = routes
        self._metrics = metrics
        self._settings = settings
        self._session = Session()
        self._relay: Relay | None = None
        self._transport: asyncio.Transport | None = None
        self._work: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._leaving = False
        self._messages = 0
        self._counted_bytes = self._counted_messages = 0
        self._began = self._last_read = time.monotonic()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def stream(self) -> str:
        """The stream id, once it is known."""
        return self._relay.stream if self._relay else ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The peer is there."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclasses
        self._metrics.connections.inc()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Bytes of the peer."""
        if self._leaving:
            return
        try:
            if self._session.feed(data):
                self._pump()
        except ProtocolError as error:
            self._metrics.errors.labels(error.stage).inc()
            logger.info("connection closed: %s", error, extra={"stream": self.stream})
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone."""
        self._leaving = True
        self._count()
        self._metrics.connections.dec()
        self._transport = None
        self._ending = asyncio.create_task(self._end())

    def leave(self) -> None:
        """Send what is to be sent, then close."""
        self._leaving = True
        if self._transport:
            self._flush()
            self._transport.close()

    def abort(self) -> None:
        """Close now."""
        self._leaving = True
        if self._transport:
            self._transport.abort()

    def _pump(self) -> None:
        """Handle what the session found, up to a publish request, which takes time."""
        relay, next_event = self._relay, self._session.next_event
        while (event := next_event()) is not None:
            if isinstance(event, Media):
                if relay:
                    relay.push(*event)
                    self._messages += 1
            elif isinstance(event, PublishRequest):
                self._pause(self._publish(event.key))
                break
            elif isinstance(event, Unsupported):
                self._end_publication(event.reason, "codec")
                return
            elif isinstance(event, PublishEnd):
                self.leave()
                break
        self._flush()
        if relay:
            relay.flush()
            if relay.congested and self._work is None:
                self._pause(relay.drain())

    def _pause(self, work: Coroutine[Any, Any, None]) -> None:
        """Read no more until `work` is done."""
        if self._transport:
            self._transport.pause_reading()
        self._work = asyncio.create_task(self._resume_after(work))

    async def _resume_after(self, work: Coroutine[Any, Any, None]) -> None:
        await work
        self._work = None
        self._last_read = time.monotonic()
        if self._transport and not self._transport.is_closing():
            self._transport.resume_reading()
            if not self._leaving:
                self.data_received(b"")  # what came before the pause and was not looked at

    async def _publish(self, key: str) -> None:
        relay = Relay(self._routes, key, peer=self._peer(), max_kbps=self._settings.max_publish_kbps)
        try:
            await relay.start()
        except PublishRefused as error:
            self._metrics.refused.labels(error.reason).inc()
            logger.info("publisher refused: %s", error.description, extra={"stream": relay.stream})
            self._refuse(error)
            return
        self._relay = relay
        self._metrics.publishers.inc()
        self._session.accept()
        self._flush()
        logger.info("publisher accepted", extra={"stream": relay.stream, "protocol": "rtmp"})

    def _peer(self) -> str:
        """Address of the peer; empty when its socket is gone."""
        name = self._transport.get_extra_info("peername") if self._transport else None
        return str(name[0]) if name else ""

    def _end_publication(self, why: str, label: str) -> None:
        """Let an accepted publisher go and tell it why."""
        self._metrics.refused.labels(label).inc()
        logger.warning("publisher let go: %s", why, extra={"stream": self.stream})
        self._refuse(PublishRefused("NetStream.Publish.BadName", why, label))

    def _refuse(self, error: PublishRefused) -> None:
        self._leaving = True
        self._session.refuse(error.code, error.description)
        self._flush()
        if self._transport:
            # Closing with unread bytes would reset the connection and take the status message with it.
            if self._transport.can_write_eof():
                self._transport.write_eof()
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, self.abort)

    def _flush(self) -> None:
        output = self._session.output()
        if output and self._transport:
            self._transport.write(output)
            if self._transport.get_write_buffer_size() > self._settings.max_answer_bytes:
                logger.info("connection closed: the peer does not read", extra={"stream": self.stream})
                self.abort()

    def _count(self) -> bool:
        """Tell Prometheus what came since the last time; whether something did. Not at each read, which is often."""
        session = self._session
        came, messages = session.received - self._counted_bytes, self._messages - self._counted_messages
        self._counted_bytes, self._counted_messages = session.received, self._messages
        self._metrics.bytes.inc(came)
        self._metrics.messages.inc(messages)
        return came > 0

    def _watch(self) -> None:
        """End a peer that does not finish its handshake, falls silent, or whose media nobody takes."""
        if self._transport is None:
            return
        now = time.monotonic()
        if self._count():
            self._last_read = now
        if not self._session.greeted and now - self._began > self._settings.handshake_timeout_seconds:
            self._metrics.errors.labels("handshake_timeout").inc()
        elif now - self._last_read > self._settings.idle_timeout_seconds:
            self._metrics.errors.labels("idle").inc()
        elif self._relay is None or not self._relay.ended:
            asyncio.get_running_loop().call_later(_WATCH_SECONDS, self._watch)
            return
        elif self._relay.excess and not self._leaving:
            self._end_publication(self._relay.excess, "bitrate")
            return
        logger.info("connection closed for silence, or given up", extra={"stream": self.stream})
        self.abort()

    async def _end(self) -> None:
        if self._work:
            await asyncio.wait([self._work])
        relay, self._relay = self._relay, None
        if relay:
            self._metrics.publishers.dec()
            self._metrics.reconnects.inc(relay.reconnects)
            await relay.close()
            logger.info("publisher left", extra={"stream": relay.stream, "reconnects": relay.reconnects})
        self.ended.set_result(None)
