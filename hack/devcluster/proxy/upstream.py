"""The pod's side of a proxied request.

Trap avoided: a pooled connection that the pod has just closed looks alive until it is written to; the owner learns by
`lost` before any byte of a response and may try another one.
"""

import asyncio
from typing import Protocol, cast

from hack.devcluster.proxy.splice import tune


class Owner(Protocol):
    """What the client's side offers to the pod's."""

    def from_pod(self, data: bytes) -> None: ...
    def pod_ended(self) -> None: ...
    def pod_lost(self) -> None: ...
    def pause_client(self) -> None: ...
    def resume_client(self) -> None: ...


class PodSide(asyncio.Protocol):
    """One connection to a pod; owned by one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.owner: Owner | None = None
        self.uses = 0
        self._ended = False

    @property
    def usable(self) -> bool:
        return self.transport is not None and not self.transport.is_closing() and not self._ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        tune(transport)

    def data_received(self, data: bytes) -> None:
        if self.owner is not None:
            self.owner.from_pod(data)
        else:
            # A byte that no request asked for: the connection's state is unknown.
            self.close()

    def eof_received(self) -> bool:
        self._ended = True
        if self.owner is not None:
            self.owner.pod_ended()
            return self.owner is not None
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        owner, self.owner = self.owner, None
        if owner is not None:
            owner.pod_lost()

    def pause_writing(self) -> None:
        if self.owner is not None:
            self.owner.pause_client()

    def resume_writing(self) -> None:
        if self.owner is not None:
            self.owner.resume_client()

    def close(self) -> None:
        self.owner = None
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        self.owner = None
        if self.transport is not None:
            self.transport.abort()
