"""The hot path: `GET /hls/…` answered inside the connection's protocol, everything else by uvicorn as usual.

A viewer sends the same header block with every request. The first one goes through llhttp; while the bytes of the block
stay the same, only the request line is looked at. A request that has to wait (a blocking playlist reload, the hinted
part) is a callback on the shared fetch, not a task. What is pipelined behind a waiting answer waits, too: answers never
overtake each other. A request with a body, another method or version, or anything unusual is uvicorn's.

Traps: a viewer that never reads (nothing more is taken from it, and the sweep cuts it), heads without end or in single
bytes, and the connection of a proxy, which carries many viewers: what is known of a viewer hangs on its header block.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from workloads.common.access.viewer import Viewer
from workloads.common.problem import Problem
from workloads.edge.deliver.cache import Entry
from workloads.edge.serve import answers
from workloads.edge.serve.answers import ENTRANCES
from workloads.edge.serve.door import fold
from workloads.edge.serve.hub import Asked, Hub, Pass, may_wait, serialise

PREFIX = b"/hls/"
_GET = b"GET /hls/"
_VERSION = b" HTTP/1.1"
_VERSIONS = ("1.0", "1.1")
_END = b"\r\n\r\n"
_UNUSUAL = frozenset((b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"connection"))
MAX_HEAD_BYTES = 16 * 1024
MAX_HELD_BYTES = 256 * 1024
HEAD_SECONDS, IDLE_SECONDS, STALLED_SECONDS = 10.0, 60.0, 20.0

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Head:
    """A viewer's header block, understood, and the passes that were given to it."""

    headers: dict[str, str]
    viewer: Viewer
    gzip: bool
    passes: dict[tuple[str, str], Pass] = field(default_factory=dict)


@dataclass(slots=True)
class Waiting:
    """An answer that is not there yet."""

    head: Head
    asked: Asked
    task: asyncio.Task[Any]
    holder: Pass | None = None


class LeanProtocol(HttpToolsProtocol):
    """One connection. Made by uvicorn through `functools.partial(LeanProtocol, hub)`."""

    def __init__(
        self,
        hub: Hub,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._hub = hub
        self._known: tuple[bytes, Head] | None = None
        self._waiting: Waiting | None = None
        self._held: list[bytes] = []
        self._running: Any = None
        self._last = False
        self._mid = False
        self._in_head = False
        self._lean: Head | None = None
        self._head_bytes = 0
        self._at = self.loop.time()
        self._stalled: tuple[float, int] | None = None

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Look after it from now on."""
        super().connection_made(transport)
        self._hub.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits here any more; the fetch goes on for the others."""
        self._hub.connections.discard(self)
        self._waiting = None
        self._held.clear()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """A waiting answer is still given, and is the last one."""
        if self._waiting is None:
            super().shutdown()
        self._last = True

    def handle_websocket_upgrade(self) -> None:
        """From here on it is another protocol's connection."""
        self._hub.connections.discard(self)
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        """The fast way when it is one request with the known header block, else llhttp."""
        if self._waiting is not None or self.flow.write_paused:
            self._hold(data)
            return
        if not self._mid and data.startswith(_GET) and self._known is not None and self._quick(data, *self._known):
            return
        self._feed(data)

    def resume_writing(self) -> None:
        """The viewer has read: what it sent meanwhile is next."""
        super().resume_writing()
        self._stalled = None
        self._release()

    def sweep(self, now: float) -> None:
        """Cut a viewer that does not read, does not finish its head, or does nothing at all."""
        if self.transport.is_closing():
            return
        if self.flow.write_paused:
            left = self.transport.get_write_buffer_size()
            if self._stalled is None or left < self._stalled[1]:
                self._stalled = (now, left)
            elif now - self._stalled[0] >= STALLED_SECONDS:
                self.transport.abort()
            return
        busy = self._waiting is not None or (self.cycle is not None and not self.cycle.response_complete)
        limit = HEAD_SECONDS if self._in_head else IDLE_SECONDS
        if not busy and now - self._at >= limit:
            self.transport.close()

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        if sum(map(len, self._held)) > MAX_HELD_BYTES:
            self.transport.abort()
            return
        self.flow.pause_reading()

    def _release(self) -> None:
        """Go on with what came while the viewer had to wait."""
        if self._waiting is not None or self.flow.write_paused or self.transport.is_closing():
            return
        if self._running is not None and not self._running.response_complete:
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self.flow.resume_reading()
        if self._held:
            data = b"".join(self._held)
            self._held.clear()
            self.data_received(data)

    # Requests

    def _quick(self, data: bytes, block: bytes, head: Head) -> bool:
        """Answer without parsing; False when that cannot be done."""
        line_end = data.find(b"\r\n")
        if not data.endswith(block, line_end) or len(data) - line_end != len(block) or not self._is_free():
            return False
        if not data.startswith(_VERSION, line_end - 9):
            return False
        asked = self._hub.ask(data[4 : line_end - 9])
        if asked is None:
            return False
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        return self._serve(head, asked)

    def _feed(self, data: bytes) -> None:
        if not self._mid:
            self._in_head, self._at = True, self.loop.time()
        elif self._in_head:
            self._head_bytes += len(data)
        self._mid = True
        self._lean = None
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse_head()
        elif self._lean is not None and not self._mid:
            end = data.find(_END)
            if end + 4 == len(data) and data.startswith(_GET):
                self._known = (data[data.find(b"\r\n") :], self._lean)

    def on_message_begin(self) -> None:
        """llhttp has seen the first byte of a request."""
        self._lean = None
        self._mid = self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head is whole: ours if it is the plain kind, else uvicorn's."""
        self._in_head = False
        if sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            raise ValueError("head too large")
        if self.parser.get_http_version() not in _VERSIONS:
            raise ValueError("a request without a version")
        head = self._plain_head()
        if head is not None:
            asked = self._hub.ask(self.url)
            if asked is not None:
                self._lean = head
                if self._serve(head, asked):
                    return
                self._lean = None
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A plain request has none."""
        if self._lean is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The next byte begins another request."""
        self._mid = False
        if self._lean is None:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """A head that is too large has a status of its own."""
        if len(self.url or b"") + sum(len(n) + len(v) for n, v in self.headers or ()) > MAX_HEAD_BYTES:
            self._refuse_head()
        else:
            super().send_400_response(msg)

    def _refuse_head(self) -> None:
        problem = Problem(431, "head_too_large", f"A head has at most {MAX_HEAD_BYTES} bytes.")
        status, headers, body = answers.refusal(problem, "")
        self.transport.write(b"".join(serialise((status, [*headers, (b"connection", b"close")], body))))
        self.transport.close()

    def _plain_head(self) -> Head | None:
        """The head of a request that the lean way may answer."""
        if self.parser.get_method() != b"GET" or not self.url.startswith(PREFIX):
            return None
        if self.parser.get_http_version() != "1.1" or not self.parser.should_keep_alive() or not self._is_free():
            return None
        for name, value in self.headers:
            # What a player tells in headers changes with every request: no fast way, and told at leisure.
            if name.startswith(b"cmcd-"):
                return None
            if name in _UNUSUAL and not (name == b"connection" and value.lower() == b"keep-alive"):
                return None
        headers = fold(self.headers)
        peer = self.client[0] if self.client else ""
        return Head(headers, self._hub.door.read(peer, headers, ""), "gzip" in headers.get("accept-encoding", ""))

    def _is_free(self) -> bool:
        """Whether nothing that came before still has to be answered."""
        cycle = self.cycle
        return (cycle is None or cycle.response_complete) and self._waiting is None and not self.pipeline

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """uvicorn's request begins when what waits before it is answered."""
        if self._waiting is not None:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))
        else:
            self._running = cycle
            super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """uvicorn has answered: what was held back is next."""
        super().on_response_complete()
        if self._held and not self.pipeline:
            self._release()

    # Answers

    def _serve(self, head: Head, asked: Asked) -> bool:
        """Answer now, or wait for what is missing; False when it is a matter for uvicorn."""
        now = self._at = self.loop.time()
        hub, stream = self._hub, asked.stream
        holder = hub.open_pass(stream, now) or head.passes.get((stream, asked.query))
        try:
            if holder is None or holder.until <= now:
                holder = self._look_up_pass(head, asked)
            if holder is None or asked.target.kind in ENTRANCES:
                return False
            if holder.session is not None:
                hub.door.enter(asked.target.kind, holder.session)
            entry = hub.media.cached(asked.target)
            if entry is None:
                if not may_wait(asked.target):
                    return False
                task = hub.media.join(asked.target)
                self._waiting = Waiting(head, asked, task, holder)
                task.add_done_callback(self._arrived)
                return True
        except Problem as problem:
            self._refuse(problem, head)
            return True
        if entry.growth is not None:
            return False
        self._write(head, asked, holder, entry)
        return True

    def _look_up_pass(self, head: Head, asked: Asked) -> Pass | None:
        """A pass from what is known already; None when somebody has to be asked, which is done at leisure."""
        viewer = head.viewer
        if asked.query:
            peer = self.client[0] if self.client else ""
            viewer = self._hub.door.read(peer, head.headers, asked.query)
        grant = self._hub.door.gate.admit_known(asked.target.stream, viewer)
        if grant is None:
            return None
        holder = self._hub.make_pass(grant, viewer)
        if grant.rules.restricted or holder.session is not None:
            if len(head.passes) >= 8:
                head.passes.clear()
            head.passes[asked.target.stream, asked.query] = holder
        return holder

    def _arrived(self, task: asyncio.Task[Entry]) -> None:
        """What was waited for is there, or will not come."""
        error = None if task.cancelled() else task.exception()
        waiting = self._waiting
        if waiting is None or waiting.task is not task or waiting.holder is None:
            return
        self._waiting = None
        try:
            if task.cancelled():
                raise Problem(503, "stopping", "The edge is stopping, try again.", retry_after_seconds=1)
            if error is not None:
                raise self._hub.media.problem(waiting.asked.target, error)
        except Problem as problem:
            self._refuse(problem, waiting.head)
        else:
            self._write(waiting.head, waiting.asked, waiting.holder, task.result())
        if self._last:
            self.transport.close()
        elif self._held or self.pipeline:
            self._release()

    def _write(self, head: Head, asked: Asked, holder: Pass, entry: Entry) -> None:
        if asked.report is not None:
            self._hub.media.quality.report(asked.stream, asked.report)
        start, body = self._hub.wire(asked, entry, holder, gzip=head.gzip)
        if len(body) > 8192:
            self.transport.writelines((start, body))
        else:
            self.transport.write(start + body)
        self._hub.metrics.count(asked.kind, entry.status, len(body), asked.stream)
        session = holder.session
        if session is not None and session.bucket is not None:
            session.bucket.take(len(body), time.time())

    def _refuse(self, problem: Problem, head: Head) -> None:
        self._hub.metrics.count("refused", problem.status, 0)
        self.transport.write(b"".join(serialise(answers.refusal(problem, head.viewer.origin))))
