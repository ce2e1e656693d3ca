"""Frame push for browsers: `/push/<ns>/<name>`, a WebSocket that carries CMAF for Media Source Extensions.

The first message is JSON (what there is, which rung plays); then come binary ones: a byte for the track (0 picture, 1
sound), a byte of flags (1 init segment, 2 decoding can begin here), and the bytes to append. The client may send
`{"rung": "<name>"}`. The trap is a reader that is too slow: it gets no stale frames but the newest group of pictures.
"""

import asyncio
import json
from typing import Any

from workloads.common.loops import going_on
from workloads.transcoder.encode.command import AUDIO
from workloads.transcoder.metrics import Metrics
from workloads.transcoder.package.feed import FeedEnded, Piece
from workloads.transcoder.serve.frames import describe
from workloads.transcoder.serve.origin import Receive, Scope, Send
from workloads.transcoder.stream import Stream

PICTURE, SOUND = 0, 1
INIT_FLAG, KEY_FLAG = 1, 2
CLOSE_TRY_AGAIN, CLOSE_RESTART, CLOSE_BAD_FRAME, CLOSE_PROTECTED = 1013, 1012, 4000, 4003
MAX_MESSAGE_CHARACTERS = 1024
_AGAIN_SECONDS = 0.1


class Push:
    """ASGI application for WebSocket connections; its path begins with `/push/`."""

    def __init__(self, stream: Stream, metrics: Metrics) -> None:
        self._stream = stream
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One viewer, from the handshake to the end."""
        if (await receive())["type"] != "websocket.connect":
            return
        await send({"type": "websocket.accept"})
        if self._stream.protector:
            await send({"type": "websocket.close", "code": CLOSE_PROTECTED})
            return
        hello = describe(self._stream)
        rung = _wanted(scope, hello)
        if not hello["receiving"] or rung is None:
            await _say(send, {"type": "error", "code": "not_live", "detail": "Nobody publishes now.", "retry_after": 1})
            await send({"type": "websocket.close", "code": CLOSE_TRY_AGAIN})
            return
        self._metrics.origin_requests.labels(self._stream.spec.stream, "push", "101").inc()
        await _Viewer(self._stream, self._metrics, send, rung, audio=hello["audio"]).run(receive)


class _Viewer:
    def __init__(self, stream: Stream, metrics: Metrics, send: Send, rung: str, *, audio: bool) -> None:
        self._stream = stream
        self._metrics = metrics
        self._send = send
        self._sending = asyncio.Lock()
        self._rung = rung
        self._audio = audio

    async def run(self, receive: Receive) -> None:
        await self._hello()
        picture = asyncio.create_task(self._track(self._rung, PICTURE))
        sound = asyncio.create_task(self._track(AUDIO, SOUND)) if self._audio else None
        asking = asyncio.create_task(_next_message(receive))
        try:
            while going_on():
                running = [task for task in (picture, sound, asking) if task]
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                if asking not in done:
                    await self._close(CLOSE_RESTART)
                    return
                text = asking.result()
                if text is None:
                    return
                rung = _rung_of(text, self._stream)
                if rung is None:
                    await self._close(CLOSE_BAD_FRAME)
                    return
                if rung != self._rung:
                    await _end(picture)
                    self._rung = rung
                    await self._hello()
                    picture = asyncio.create_task(self._track(rung, PICTURE))
                asking = asyncio.create_task(_next_message(receive))
        finally:
            for task in (picture, sound, asking):
                if task:
                    await _end(task)

    async def _hello(self) -> None:
        """What there is and what follows, with the codecs that MSE has to be told."""
        hello = describe(self._stream)
        renditions = self._stream.renditions
        for entry in hello["rungs"]:
            init = renditions[entry["name"]].init
            entry["codec"] = init.codec if init else ""
        audio = renditions[AUDIO].init if self._audio else None
        document = {"type": "hello", **hello, "rung": self._rung, "audio": audio.codec if audio else None}
        async with self._sending:
            await _say(self._send, document)

    async def _track(self, name: str, track: int) -> None:
        """Send one rendition until it ends; a reader that lags goes on at the newest key frame."""
        while (feed := self._stream.feeds.get(name)) is not None:
            subscription = feed.subscribe()
            try:
                while True:
                    for piece in await subscription.next():
                        await self._put(track, piece)
            except FeedEnded as ended:
                if not ended.lagging:
                    return
                await asyncio.sleep(_AGAIN_SECONDS)
            finally:
                subscription.close()

    async def _put(self, track: int, piece: Piece) -> None:
        flags = (INIT_FLAG if piece.init else 0) | (KEY_FLAG if piece.independent else 0)
        self._metrics.origin_bytes.labels(self._stream.spec.stream).inc(len(piece.data))
        async with self._sending:
            await self._send({"type": "websocket.send", "bytes": bytes((track, flags)) + piece.data})

    async def _close(self, code: int) -> None:
        async with self._sending:
            await self._send({"type": "websocket.close", "code": code})


def _wanted(scope: Scope, hello: dict[str, Any]) -> str | None:
    """The rung that the address asks for (`?rung=`), else the smallest one; None when there is none."""
    names = [entry["name"] for entry in hello["rungs"]]
    asked = scope.get("query_string", b"").decode("latin-1").partition("rung=")[2].partition("&")[0]
    return asked if asked in names else names[-1] if names else None


def _rung_of(text: str, stream: Stream) -> str | None:
    """The rung in a client's message; None for anything that is no wish for one that there is."""
    try:
        message = json.loads(text) if len(text) <= MAX_MESSAGE_CHARACTERS else None
    except ValueError:
        return None
    rung = message.get("rung") if isinstance(message, dict) else None
    return rung if isinstance(rung, str) and rung != AUDIO and rung in stream.feeds else None


async def _next_message(receive: Receive) -> str | None:
    """The client's next text, None when it has gone."""
    message = await receive()
    return None if message["type"] == "websocket.disconnect" else str(message.get("text") or "")


async def _say(send: Send, document: dict[str, Any]) -> None:
    await send({"type": "websocket.send", "text": json.dumps(document)})


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
