"""The client's side of the Ingress proxy: one connection, its requests one after another.

States: reading a head, talking to a pod (request body up, response down), tunnel after 101. Trap avoided: bytes of
the next pipelined request must wait until the response before it is complete.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import cast

from hack.devcluster.proxy import http1
from hack.devcluster.proxy.endpoints import Address, ServicePort
from hack.devcluster.proxy.http1 import BadMessage, BodyTracker, Head
from hack.devcluster.proxy.relay import IDLE_SECONDS, Relay
from hack.devcluster.proxy.splice import tune
from hack.devcluster.proxy.upstream import PodSide

log = logging.getLogger(__name__)

_RESPONSE_SECONDS = 65.0
_TRIES = 3
_MOST_EARLY = 262_144


class ClientSide(Relay):
    """The half that reads requests."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else "unknown"
        tune(transport)
        self._extend(IDLE_SECONDS)
        self._proxy.clients.add(self)

    def data_received(self, data: bytes) -> None:
        if self._tunnel:
            if self._pod is not None and self._pod.transport is not None:
                self._pod.transport.write(data)
            return
        if self._busy:
            self._body_from_client(data)
            return
        self._buffer += data
        self._next_request()

    def eof_received(self) -> bool:
        if self._tunnel and self._pod is not None and self._pod.transport is not None:
            if self._pod.transport.can_write_eof():
                self._pod.transport.write_eof()
            return True
        # A half-closed client may still read the answer to what it sent.
        return self._busy

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._proxy.clients.discard(self)
        if self._task is not None:
            self._task.cancel()
        if self._pod is not None:
            self._pod.abort()
            self._pod = None

    def pause_writing(self) -> None:
        if self._pod is not None and self._pod.transport is not None:
            self._pod.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._pod is not None and self._pod.transport is not None and not self._pod.transport.is_closing():
            self._pod.transport.resume_reading()

    def check_deadline(self, now: float) -> None:
        """Called now and then by the proxy."""
        if self._tunnel or now < self._deadline or self._transport is None:
            return
        if self._busy and self._response is None:
            self._drop_pod()
            self._answer(HTTPStatus.GATEWAY_TIMEOUT, "the pod did not answer in time")
        else:
            self.abort()

    def _next_request(self) -> None:
        """Start on a complete head in the buffer."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > http1.MAX_HEAD:
                self._answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is too large")
            return
        raw, rest = self._buffer[:end].lstrip(b"\r\n"), self._buffer[end + 4 :]
        self._buffer = b""
        self._busy = True
        try:
            head = http1.parse_head(raw, request=True)
            self._line = http1.parse_request_line(head.first)
        except BadMessage as error:
            self._answer(HTTPStatus(error.status), str(error))
            return
        self._head = head
        self._request = BodyTracker(head.framing, head.length)
        self._extend(_RESPONSE_SECONDS)
        self._dispatch(head, rest)

    def _dispatch(self, head: Head, rest: bytes) -> None:
        matched, target = self._proxy.route(head.host.decode("latin-1"), self._line.path)
        address = self._proxy.pick(target) if target is not None else None
        if target is None or address is None:
            if self._request.done:
                self._keep(rest)
            if not matched:
                self._answer(HTTPStatus.NOT_FOUND, "no Ingress rule matches")
                return
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "no pod is ready", retry_after=1)
            return
        pod = None if head.old or head.upgrade else self._proxy.reuse(address)
        if pod is not None:
            self._attach(pod, address)
            self._body_from_client(rest)
            return
        self._early = rest
        if self._transport is not None:
            self._transport.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._connect(target, address))

    async def _connect(self, target: ServicePort, address: Address | None) -> None:
        for _ in range(_TRIES):
            if address is None:
                break
            try:
                pod = await self._proxy.connect(address)
            except (OSError, TimeoutError):
                address = self._proxy.pick(target)
                continue
            self._task = None
            if self._transport is None:
                pod.abort()
                return
            self._attach(pod, address)
            self._transport.resume_reading()
            early, self._early = self._early, b""
            self._body_from_client(early)
            return
        self._task = None
        if self._transport is not None:
            self._transport.resume_reading()
            self._answer(HTTPStatus.BAD_GATEWAY, "the pod refused the connection")

    def _attach(self, pod: PodSide, address: Address) -> None:
        self._pod, self._pod_address = pod, address
        pod.owner = self
        pod.uses += 1
        if pod.transport is not None and self._head is not None:
            pod.transport.write(http1.upstream_head(self._head, self._line, client=self._address))

    def _body_from_client(self, data: bytes) -> None:
        if not data:
            return
        if self._pod is None or self._request.done:
            self._keep(data)
            return
        try:
            used = self._request.feed(data)
        except BadMessage as error:
            self._drop_pod()
            self._answer(HTTPStatus.BAD_REQUEST, str(error))
            return
        self._sent_body = True
        if self._pod.transport is not None:
            self._pod.transport.write(data[:used])
        self._extend(_RESPONSE_SECONDS)
        if used < len(data):
            self._keep(data[used:])

    def _keep(self, data: bytes) -> None:
        """Bytes of the next request."""
        self._buffer += data
        if len(self._buffer) > _MOST_EARLY and self._transport is not None:
            self._transport.pause_reading()
