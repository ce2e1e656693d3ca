"""A WebSocket as a bare asyncio protocol, plugged into uvicorn as `ws=`: no task, no queue, no ASGI per connection.

It owns the byte level: handshake, frames, ping and pong, the closing handshake, the transport's buffer. What a message
means is the desk's business. uvicorn hands over the request as bytes to the first `data_received`.
"""

import asyncio
import contextlib
import socket as sockets
import time
from collections.abc import Callable
from typing import Any, Protocol, cast

from workloads.common.tokens import Claims
from workloads.fanout import frames, handshake
from workloads.fanout.config import FanoutSettings
from workloads.fanout.room import SLOW_CODE, Room

CLOSE_SECONDS = 5.0
WRITE_LOW_BYTES = 16 * 1024


class Desk(Protocol):
    """Who understands what a socket says."""

    settings: FanoutSettings

    @property
    def now(self) -> float:
        """A monotonic clock, as coarse as the sweep."""

    def admit(self, path: str) -> Room:
        """The room behind a path; Refusal when there is none, or none now."""

    def opened(self, socket: "RoomSocket") -> None:
        """The handshake is done."""

    def on_text(self, socket: "RoomSocket", text: str) -> None:
        """A whole message."""

    def leaving(self, socket: "RoomSocket") -> None:
        """The socket is closing or gone: nothing may be written to it any more. Called once."""

    def lost(self, socket: "RoomSocket") -> None:
        """The connection is gone. Called once, after `leaving`."""

    def on_pause(self, socket: "RoomSocket") -> None:
        """The transport's buffer filled up, or emptied (see `paused_at`)."""


class RoomSocket(asyncio.Protocol):
    """One connection. Slots keep an idle one small; fields without underscore belong to the desk and the room."""

    __slots__ = (
        "_closing",
        "_connections",
        "_desk",
        "_opened",
        "_parser",
        "_transport",
        "beat",
        "claims",
        "deadline",
        "deflate",
        "gapped",
        "inbound",
        "paused_at",
        "room",
        "seen",
        "stale",
        "strikes",
        "todo",
        "write",
    )

    def __init__(self, desk: Desk, *, config: Any, server_state: Any, app_state: Any) -> None:
        self._desk = desk
        self._connections = server_state.connections
        self._parser: frames.Parser | None = None
        self._opened = self._closing = False
        self.claims: Claims | None = None
        self.deadline = 0.0
        self.room: Room
        self.write: Callable[[bytes], None]
        self.deflate = self.gapped = self.stale = False
        self.paused_at = self.seen = 0.0
        self.beat = self.strikes = 0
        self.inbound: Any = None
        self.todo: Any = None

    @property
    def closing(self) -> bool:
        """Whether nothing more may be said."""
        return self._closing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The upgrade begins."""
        self._transport = cast(asyncio.Transport, transport)
        self.write = self._transport.write
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of the client; the first are the request."""
        self.seen = self._desk.now
        if self._parser is None:
            self._open(data)
            return
        try:
            events = self._parser.feed(data)
        except frames.FrameError as error:
            self.fail(error.code, error.reason)
            return
        for event in events:
            if isinstance(event, frames.Message):
                if not self._closing:
                    self._desk.on_text(self, event.text)
            elif isinstance(event, frames.Ping):
                # Who does not read its pongs gets none: an answer to the latest ping is all that the RFC asks.
                if not self._closing and not self.paused_at:
                    self.write(frames.build(frames.PONG, event.payload))
            elif isinstance(event, frames.Close):
                self._on_close(event)
                return

    def send(self, payload: bytes) -> None:
        """One message to this socket alone; one that never reads its answers is closed."""
        if self._closing:
            return
        if self.paused_at and self.buffered() > self._desk.settings.close_slow_bytes:
            self.fail(SLOW_CODE, "slow consumer")
            return
        prepared = frames.Prepared(payload)
        self.write(prepared.packed if self.deflate else prepared.plain)

    def ping(self) -> None:
        """Ask whether the client is there."""
        if not self._closing:
            self.write(frames.build(frames.PING, b""))

    def buffered(self) -> int:
        """Bytes that wait in the transport."""
        return self._transport.get_write_buffer_size()

    def fail(self, code: int, reason: str) -> None:
        """Begin the closing handshake; whoever does not answer it in time is cut off."""
        if self._closing:
            return
        self._closing = True
        self.deadline = self._desk.now + CLOSE_SECONDS
        self.write(frames.build_close(code, reason))
        self._desk.leaving(self)

    def abort(self) -> None:
        """Cut the connection; what waits in its buffer is lost."""
        self._transport.abort()

    def shutdown(self) -> None:
        """uvicorn ends: called for sockets that the drain has not closed."""
        self.fail(frames.RESTART, "restart")
        self._transport.close()

    def pause_writing(self) -> None:
        """More than the first threshold waits in the transport."""
        self.paused_at = time.monotonic()
        self._desk.on_pause(self)

    def resume_writing(self) -> None:
        """The transport's buffer is low again."""
        self.paused_at = 0.0
        self._desk.on_pause(self)

    def eof_received(self) -> bool:
        """A client that stops sending without a close frame is gone."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._connections.discard(self)
        if self._opened:
            if not self._closing:
                self._closing = True
                self._desk.leaving(self)
            self._desk.lost(self)
        self._closing = True

    def _open(self, data: bytes) -> None:
        settings = self._desk.settings
        try:
            request = handshake.parse_request(data)
            self.room = self._desk.admit(request.path)
            answer, self.deflate = handshake.accept(request, origins=settings.allowed_origins, deflate=settings.deflate)
        except handshake.Refusal as refusal:
            self._closing = True
            self.write(refusal.response())
            self._transport.close()
            return
        self._parser = frames.Parser(deflate=self.deflate)
        self._tune(settings)
        self.write(answer)
        self._opened = True
        self._desk.opened(self)

    def _tune(self, settings: FanoutSettings) -> None:
        """Make the transport's buffer tell the truth about a slow client instead of hiding megabytes in the kernel."""
        self._transport.set_write_buffer_limits(high=settings.drop_ephemeral_bytes, low=WRITE_LOW_BYTES)
        raw = self._transport.get_extra_info("socket")
        option = getattr(sockets, "TCP_NOTSENT_LOWAT", None)
        if raw is not None and option is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(sockets.IPPROTO_TCP, option, settings.unsent_low_bytes)

    def _on_close(self, event: frames.Close) -> None:
        if not self._closing:
            code = 1000 if event.code == frames.NO_STATUS else event.code
            self.fail(code, "")
        self._transport.close()
