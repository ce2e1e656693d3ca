"""The lobby: holds the first visitors of a room that has no pod yet, and asks for one.

A room may be scaled to nothing. Its path then leads here. The edge notes the knock, on which the operators bring a pod
up, keeps the socket meanwhile, and sends it on with the same `reconnect` frame that a draining room uses.
"""

import asyncio
import json
import logging
import random
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.websockets import WebSocket, WebSocketDisconnect

from workloads.common.loops import going_on
from workloads.common.origins import KEY

KNOCKS = "haat:knocks"
HOLD_SECONDS, LOOK_SECONDS, KNOCK_SECONDS = 60.0, 0.5, 3.0
MAX_HELD = 20_000
SPREAD_MS = 800
RESTART, POLICY, OVERLOADED = 1012, 1008, 1013

logger = logging.getLogger(__name__)


class Lobby:
    """Sockets that wait for their room."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.held = 0

    async def visit(self, socket: WebSocket) -> None:
        """One visitor, from its handshake until its room is ready, it leaves, or a minute is over."""
        stream = f"{socket.path_params['namespace']}/{socket.path_params['name']}"
        await socket.accept()
        if self.held >= MAX_HELD:
            await socket.close(OVERLOADED)
            return
        self.held += 1
        waiting = asyncio.create_task(self._until_ready(stream))
        leaving = asyncio.create_task(_gone(socket))
        try:
            await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                await self._send_on(socket, known=waiting.result())
        except WebSocketDisconnect:
            logger.debug("a visitor left the lobby", extra={"stream": stream})
        finally:
            self.held -= 1
            for task in (waiting, leaving):
                task.cancel()
            await asyncio.gather(waiting, leaving, return_exceptions=True)

    async def _until_ready(self, stream: str) -> bool:
        """True when the visitor should try the room (again); False when there is no such stream."""
        deadline, knocked = time.monotonic() + HOLD_SECONDS, 0.0
        while going_on() and time.monotonic() < deadline:
            try:
                raw = await self._redis.hget(KEY, stream)
                if raw is None:
                    return False
                if json.loads(raw).get("room") is True:
                    return True
                if time.monotonic() - knocked >= KNOCK_SECONDS:
                    await self._redis.hset(KNOCKS, stream, str(int(time.time() * 1000)))
                    knocked = time.monotonic()
            except (RedisError, OSError, ValueError) as error:
                logger.warning("the lobby cannot see the room: %s", error, extra={"stream": stream})
            await asyncio.sleep(LOOK_SECONDS)
        return True

    async def _send_on(self, socket: WebSocket, *, known: bool) -> None:
        if known:
            await socket.send_json({"type": "reconnect", "after_ms": random.randint(0, SPREAD_MS)})
            await socket.close(RESTART)
        else:
            await socket.send_json({"type": "error", "code": "unknown_stream", "detail": "There is no such stream."})
            await socket.close(POLICY)


async def _gone(socket: WebSocket) -> None:
    """Returns when the visitor leaves; what it says meanwhile is not for the lobby."""
    try:
        while True:
            await socket.receive_text()
    except (WebSocketDisconnect, RuntimeError):
        return
