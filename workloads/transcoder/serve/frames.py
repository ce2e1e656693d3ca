"""Frame push: `/frames/<ns>/<name>` says what there is, `/frames/<ns>/<name>/<rung>` is an endless CMAF answer.

Plain ASGI like the origin. The trap is the answer that nobody reads: the server's flow control stops `send`, the
subscription ages, and the feed cuts it.
"""

import asyncio
import json
from typing import Any

from workloads.common.problem import Problem
from workloads.transcoder.encode.command import AUDIO
from workloads.transcoder.metrics import Metrics
from workloads.transcoder.package.feed import FeedEnded, Subscription
from workloads.transcoder.serve.origin import Receive, Scope, Send
from workloads.transcoder.stream import Stream

_NO_STORE = (b"cache-control", b"no-store")


class Frames:
    """ASGI application; its path begins with `/frames/`."""

    def __init__(self, stream: Stream, metrics: Metrics) -> None:
        self._stream = stream
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET."""
        try:
            if scope["method"] != "GET":
                raise Problem(405, "method_not_allowed", "Frames are read only.")
            rung = self._rung(scope["path"])
            if rung:
                subscription = self._subscribe(rung)
        except Problem as problem:
            await self._refuse(problem, scope, receive, send)
            return
        if not rung:
            await _send_json(describe(self._stream), send)
            return
        await self._push(rung, subscription, receive, send)

    def _rung(self, path: str) -> str:
        """The rung that a path names, empty for the stream itself; Problem 404 for another stream."""
        prefix = f"/frames/{self._stream.spec.stream}"
        if path != prefix and not path.startswith(f"{prefix}/"):
            raise Problem(404, "unknown_stream", "This pod serves another stream.")
        return path[len(prefix) + 1 :]

    def _subscribe(self, rung: str) -> Subscription:
        stream = self._stream
        feed = stream.feeds.get(rung)
        if stream.retired or feed is None or not stream.receiving:
            raise Problem(404, "not_live", f"There is no rendition {rung!r} (yet).", retry_after_seconds=1)
        return feed.subscribe()

    async def _refuse(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        if self._stream.retired:
            problem = Problem(502, "moved", "Another transcoder has this stream now.", retry_after_seconds=1)
        self._metrics.origin_requests.labels(self._stream.spec.stream, "refused", str(problem.status)).inc()
        response = problem.response()
        response.headers["cache-control"] = "no-store"
        await response(scope, receive, send)

    async def _push(self, rung: str, subscription: Subscription, receive: Receive, send: Send) -> None:
        stream = self._stream.spec.stream
        self._metrics.origin_requests.labels(stream, "frames", "200").inc()
        media_type = b"audio/mp4" if rung == AUDIO else b"video/mp4"
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", media_type), _NO_STORE]}
        )
        sending = asyncio.create_task(self._send_all(stream, subscription, send))
        # An answer that is left without its end makes the server close the connection: that is the cut.
        others = [asyncio.create_task(_gone(receive)), asyncio.create_task(subscription.cut.wait())]
        try:
            await asyncio.wait({sending, *others}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            subscription.close()
            for task in (sending, *others):
                task.cancel()
            await asyncio.gather(sending, *others, return_exceptions=True)

    async def _send_all(self, stream: str, subscription: Subscription, send: Send) -> None:
        try:
            while True:
                body = b"".join(piece.data for piece in await subscription.next())
                self._metrics.origin_bytes.labels(stream).inc(len(body))
                await send({"type": "http.response.body", "body": body, "more_body": True})
        except FeedEnded as ended:
            if not ended.lagging:
                await send({"type": "http.response.body", "body": b"", "more_body": False})


def describe(stream: Stream) -> dict[str, Any]:
    """What can be read: `{"receiving", "rungs": [{"name", "width", "height", "fps", "kbps"}], "audio"}`, largest
    first."""
    nominal = {rung.name: rung.video_kbps for rung in stream.ladder.rungs}
    rungs = [
        {
            "name": name,
            "width": rung.width,
            "height": rung.height,
            "fps": stream.frame_rate(rung),
            "kbps": nominal[name],
        }
        for name, rung in stream.rungs.items()
        if name in nominal and name in stream.feeds
    ]
    return {"receiving": stream.receiving and not stream.retired, "rungs": rungs, "audio": AUDIO in stream.feeds}


async def _gone(receive: Receive) -> None:
    """Wait until the reader has left."""
    while (await receive())["type"] != "http.disconnect":
        continue


async def _send_json(document: dict[str, Any], send: Send) -> None:
    body = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), _NO_STORE]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
