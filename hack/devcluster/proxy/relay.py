"""The way back of a proxied request: from the pod's bytes to the client, and the proxy's own answers.

Trap avoided: an answer that the pod cuts short must be cut short for the client too; ending it politely would make
half a body look whole.
"""

import asyncio
from http import HTTPStatus
from typing import Protocol

from hack.devcluster.proxy import http1
from hack.devcluster.proxy.endpoints import Address, ServicePort
from hack.devcluster.proxy.http1 import BadMessage, BodyTracker, Framing, Head, RequestLine
from hack.devcluster.proxy.upstream import PodSide

IDLE_SECONDS = 75.0
_BODY_SECONDS = 300.0
_KEEP_AFTER = (HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.BAD_GATEWAY)


class Proxy(Protocol):
    """What a connection asks of the Ingress proxy."""

    clients: "set[Relay]"

    def route(self, host: str, path: str) -> tuple[bool, ServicePort | None]: ...
    def pick(self, target: ServicePort) -> Address | None: ...
    def reuse(self, address: Address) -> PodSide | None: ...
    async def connect(self, address: Address) -> PodSide: ...
    def give_back(self, address: Address, side: PodSide) -> None: ...


class Relay(asyncio.Protocol):
    """One client connection, the half that talks to the pod; implements `Owner` for the pod's side."""

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

    def _extend(self, seconds: float) -> None:
        self._deadline = asyncio.get_running_loop().time() + seconds

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def check_deadline(self, now: float) -> None:
        """Called now and then by the proxy."""
        raise NotImplementedError

    def _next_request(self) -> None:
        """Start on what the client has sent already."""
        raise NotImplementedError

    def _dispatch(self, head: Head, rest: bytes) -> None:
        """Send a request to a pod."""
        raise NotImplementedError

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
        self._extend(IDLE_SECONDS)
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
        keep = keep and status in _KEEP_AFTER
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
