"""Joining two TCP connections, with back-pressure and half-close.

Trap avoided: a fast sender and a slow reader would pile up bytes in the proxy; when the far side's buffer is full,
reading on the near side stops.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import cast


def tune(transport: asyncio.BaseTransport) -> None:
    """Send small segments at once: interactive protocols suffer from Nagle's delay."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Pipe(asyncio.Protocol):
    """One side of a splice; writes what it reads to its peer."""

    def __init__(self, on_lost: Callable[[], None] | None = None) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: Pipe | None = None
        self._early: list[bytes] = []
        self._eof = False
        self._on_lost = on_lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        tune(transport)

    def join(self, peer: "Pipe") -> None:
        """Connect both ways and hand over what came early."""
        self.peer, peer.peer = peer, self
        self._flush()
        peer._flush()

    def _flush(self) -> None:
        if self.peer is None or self.peer.transport is None:
            return
        for block in self._early:
            self.peer.transport.write(block)
        self._early.clear()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
        if self._eof:
            self.eof_received()

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.write(data)
            return
        self._early.append(data)
        if self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self._eof = True
        if self.peer is not None and self.peer.transport is not None and self.peer.transport.can_write_eof():
            self.peer.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None and not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.close()
        if self._on_lost is not None:
            self._on_lost()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()
