"""The client's side of the Ingress proxy: one connection, its requests one after another.

States: reading a head, talking to a pod (request body up, response down), tunnel after 101. Trap avoided: bytes of
the next pipelined request must wait until the response before it is complete.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Protocol, cast

from hack.devcluster.proxy import http1
from hack.devcluster.proxy.endpoints import Address, ServicePort
from hack.devcluster.proxy.http1 import BadMessage, BodyTracker, Framing, Head, RequestLine
from hack.devcluster.proxy.splice import tune
from hack.devcluster.proxy.upstream import PodSide

log = logging.getLogger(__name__)

_IDLE_SECONDS = 75.0
_RESPONSE_SECONDS = 65.0
_BODY_SECONDS = 300.0
_TRIES = 3
_MOST_EARLY = 262_144


class Proxy(Protocol):
    """What a connection asks of the Ingress proxy."""

    clients: "set[ClientSide]"

    def route(self, host: str, path: str) -> tuple[bool, ServicePort | None]: ...
    def pick(self, target: ServicePort) -> Address | None: ...
    def reuse(self, address: Address) -> PodSide | None: ...
    async def connect(self, address: Address) -> PodSide: ...
    def give_back(self, address: Address, side: PodSide) -> None: ...


class ClientSide(asyncio.Protocol):
    """Implements `Owner` for the pod's side."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._transport: asyncio.Transport | None = None
        self._address = ""
        self._buffer = b""
        self._early = b""
        self._busy = False
        self._tunnel = False
        self._deadline = 0.0
        self._task: asyncio.Task[None] | None = None
        self._pod: PodSide | None = None
        self._pod_address: Address = ("", 0)
        self._reset()

    def _reset(self) -> None:
        self._line = RequestLine(b"", b"", "")
        self._head: Head | None = None
        self._request = BodyTracker(Framing.NONE)
        self._response: BodyTracker | None = None
        self._reply = b""
        self._reply_close = False
        self._pod_keeps = False
        self._sent_body = False

    # Client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else "unknown"
        tune(transport)
        self._extend(_IDLE_SECONDS)
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

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _extend(self, seconds: float) -> None:
        self._deadline = asyncio.get_running_loop().time() + seconds

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

    # Pod

    def from_pod(self, data: bytes) -> None:
        if self._transport is None:
            return
        if self._tunnel:
            self._transport.write(data)
            return
        if self._response is None:
            data = self._reply_head(data)
            if self._tunnel or self._response is None:
                return
        try:
            used = self._response.feed(data)
        except BadMessage:
            self.abort()
            return
        if used:
            self._transport.write(data[:used] if used < len(data) else data)
            self._extend(_BODY_SECONDS)
        if self._response.done:
            self._finish(clean=used == len(data))

    def _reply_head(self, data: bytes) -> bytes:
        """Take heads off the response; returns what follows the final one."""
        self._reply += data
        while (end := self._reply.find(b"\r\n\r\n")) >= 0:
            raw, self._reply = self._reply[:end], self._reply[end + 4 :]
            try:
                head = http1.parse_head(raw, request=False)
                status = http1.parse_status(head.first)
            except BadMessage as error:
                self._drop_pod()
                self._answer(HTTPStatus.BAD_GATEWAY, f"the pod's answer is malformed: {error}")
                return b""
            if status == HTTPStatus.SWITCHING_PROTOCOLS:
                self._begin_tunnel(head)
                return b""
            if status >= 200:
                return self._begin_response(head, status)
            if self._transport is not None:
                self._transport.write(http1.client_head(head, status, close=False))
        if len(self._reply) > http1.MAX_HEAD:
            self._drop_pod()
            self._answer(HTTPStatus.BAD_GATEWAY, "the pod's head is too large")
        return b""

    def _begin_response(self, head: Head, status: int) -> bytes:
        framing = http1.response_framing(head, status, self._line.method)
        self._response = BodyTracker(framing, head.length)
        self._pod_keeps = head.keep_alive and framing is not Framing.UNTIL_CLOSE
        asked = self._head is not None and self._head.keep_alive
        # An answer before the end of the request's body leaves the connection in no state to go on.
        self._reply_close = framing is Framing.UNTIL_CLOSE or not asked or not self._request.done
        if self._transport is not None:
            self._transport.write(http1.client_head(head, status, close=self._reply_close))
        rest, self._reply = self._reply, b""
        return rest

    def _begin_tunnel(self, head: Head) -> None:
        self._tunnel = True
        if self._transport is None:
            return
        self._transport.write(http1.client_head(head, 101, close=False))
        if self._reply:
            self._transport.write(self._reply)
        if self._buffer and self._pod is not None and self._pod.transport is not None:
            self._pod.transport.write(self._buffer)
        self._buffer = self._reply = b""

    def _finish(self, *, clean: bool) -> None:
        """The response is complete."""
        pod, self._pod = self._pod, None
        if pod is not None:
            pod.owner = None
            if clean and self._pod_keeps and self._request.done:
                self._proxy.give_back(self._pod_address, pod)
            else:
                pod.close()
        close = self._reply_close
        self._reset()
        self._busy = False
        if self._transport is None:
            return
        if close:
            self._transport.close()
            return
        self._extend(_IDLE_SECONDS)
        self._transport.resume_reading()
        if self._buffer:
            self._next_request()

    def pod_ended(self) -> None:
        if self._tunnel:
            if self._transport is not None and self._transport.can_write_eof():
                self._transport.write_eof()
            return
        self.pod_lost()

    def pod_lost(self) -> None:
        pod, self._pod = self._pod, None
        if pod is not None:
            pod.close()
        if self._transport is None:
            return
        if self._tunnel:
            self._transport.close()
        elif self._response is not None:
            if self._response.framing is Framing.UNTIL_CLOSE:
                self._transport.close()
            else:
                # The client must notice that the body is cut short.
                self._transport.abort()
        elif pod is not None and pod.uses > 1 and not self._sent_body and not self._reply and self._head is not None:
            self._reply = b""
            self._dispatch(self._head, b"")
        else:
            self._answer(HTTPStatus.BAD_GATEWAY, "the pod closed the connection")

    def pause_client(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_client(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _drop_pod(self) -> None:
        pod, self._pod = self._pod, None
        if pod is not None:
            pod.abort()

    def _answer(self, status: HTTPStatus, detail: str, *, retry_after: int | None = None) -> None:
        """An answer of the proxy's own. The connection closes where the request's end is not known."""
        if self._transport is None:
            return
        keep = self._head is not None and self._head.keep_alive and self._request.done
        keep = keep and status in (HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.BAD_GATEWAY)
        body = b"" if self._line.method == b"HEAD" else f"{status.value} {status.phrase}: {detail}\n".encode()
        lines = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            "Content-Type: text/plain; charset=utf-8",
            f"Content-Length: {len(body)}",
        ]
        if retry_after is not None:
            lines.append(f"Retry-After: {retry_after}")
        if not keep:
            lines.append("Connection: close")
        self._transport.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        self._reply_close, self._pod_keeps = not keep, False
        self._finish(clean=False)
