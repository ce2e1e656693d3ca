"""`/push/<ns>/<name>`: frames over a WebSocket, handed through between the viewer and the stream's origin.

The trap is the viewer that reads slowly: nothing is kept here beyond a few messages, so that TCP carries its slowness
to the origin, which skips for it.
"""

import asyncio
import contextlib
import logging
from typing import Any

import aiohttp
from starlette.websockets import WebSocket, WebSocketDisconnect

from workloads.common.directory import DirectoryUnavailable
from workloads.common.origins import NotLive, Origins, UnknownStream
from workloads.common.problem import Problem
from workloads.edge.deliver.policy import is_stream_id
from workloads.edge.serve.door import Door

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
MAX_VIEWER_MESSAGE_BYTES = 4096
CONNECT_SECONDS, SEND_SECONDS = 5.0, 20.0
GOING_AWAY, POLICY, TRY_AGAIN, TOO_BIG = 1001, 1008, 1013, 1009

logger = logging.getLogger(__name__)


class Push:
    """The endpoint."""

    def __init__(self, origins: Origins, door: Door) -> None:
        self._origins = origins
        self._door = door

    async def visit(self, socket: WebSocket) -> None:
        """One viewer. Refused before the handshake's end with the problem's status; closed with 1013 when the origin is
        away."""
        stream = f"{socket.path_params['namespace']}/{socket.path_params['name']}"
        try:
            if not is_stream_id(stream):
                raise Problem(404, "unknown_stream", "There is no such stream.")
            await self._door.admit(stream, self._door.viewer(socket.scope))
            origin = await self._origins.find(stream)
        except UnknownStream:
            await _deny(socket, Problem(404, "unknown_stream", f"There is no stream {stream}."))
        except (NotLive, DirectoryUnavailable):
            await _deny(socket, Problem(503, "not_live", f"{stream} is not on air.", retry_after_seconds=1))
        except Problem as problem:
            await _deny(socket, problem)
        else:
            await self._hand_through(socket, stream, f"{origin}/push/{stream}")

    async def _hand_through(self, socket: WebSocket, stream: str, url: str) -> None:
        query = "&".join(f"rung={value}" for value in socket.query_params.getlist("rung")[:1] if value.isalnum())
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS)
        async with contextlib.AsyncExitStack() as stack:
            client = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
            try:
                connecting = client.ws_connect(f"{url}?{query}" if query else url, max_msg_size=MAX_MESSAGE_BYTES)
                origin = await stack.enter_async_context(connecting)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self._origins.forget(stream)
                logger.warning("no frames from the origin: %r", error, extra={"stream": stream})
                detail = "The stream is being moved, try again."
                await _deny(socket, Problem(503, "origin_away", detail, retry_after_seconds=1))
                return
            await socket.accept()
            await _both_ways(socket, origin)


async def _deny(socket: WebSocket, problem: Problem) -> None:
    await socket.send_denial_response(problem.response())


async def _both_ways(socket: WebSocket, origin: aiohttp.ClientWebSocketResponse) -> None:
    tasks = [asyncio.create_task(_down(socket, origin)), asyncio.create_task(_up(socket, origin))]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        code = next((task.result() for task in done if task.exception() is None), GOING_AWAY)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if code:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect, OSError):
            await socket.close(code)


async def _down(socket: WebSocket, origin: aiohttp.ClientWebSocketResponse) -> int:
    """Messages of the origin to the viewer; the code to close with, 0 when the viewer has left."""
    async for message in origin:
        payload: dict[str, Any] = {"type": "websocket.send"}
        payload["bytes" if message.type == aiohttp.WSMsgType.BINARY else "text"] = message.data
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await socket.send(payload)
        except TimeoutError:
            return POLICY
        except (WebSocketDisconnect, RuntimeError):
            return 0
    code = origin.close_code or TRY_AGAIN
    return code if 3000 <= code < 5000 else TRY_AGAIN


async def _up(socket: WebSocket, origin: aiohttp.ClientWebSocketResponse) -> int:
    """What the viewer says, to the origin."""
    while True:
        try:
            text = await socket.receive_text()
        except (WebSocketDisconnect, RuntimeError, KeyError):
            return 0
        if len(text) > MAX_VIEWER_MESSAGE_BYTES:
            return TOO_BIG
        await origin.send_str(text)
