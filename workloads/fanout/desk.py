"""What a socket says and what becomes of it: decode, check, hand on, answer. Never blocks the reading of a socket.

Publishes of one socket are done one after the other, so that a person's messages keep their order; purchases run side
by side, a few at a time. Everything that can fail ends in a typed answer to this socket alone.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine

from workloads.common.tokens import Claims
from workloads.fanout import messages
from workloads.fanout.actions import Buying, Denied, Publishing
from workloads.fanout.broker import Broker, BrokerAway
from workloads.fanout.config import FanoutSettings
from workloads.fanout.frames import POLICY
from workloads.fanout.handshake import Refusal
from workloads.fanout.hub import BAD_TOKEN, Hub
from workloads.fanout.messages import Buy, Hello, Invalid, NotJson, Ping, Publish
from workloads.fanout.policy import TokenBucket
from workloads.fanout.protocol import RoomSocket
from workloads.fanout.recover import Position
from workloads.fanout.room import Room
from workloads.fanout.welcome import Door, Refused

BAD_FRAME = 4000
FRAMES_A_SECOND, FRAMES_BURST = 50.0, 100.0
MAX_STRIKES = 200
MAX_WAITING_PUBLISHES = 16
MAX_BUYS_UNDER_WAY = 8
RETRY_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Desk:
    """The application behind `RoomSocket`."""

    def __init__(self, hub: Hub, broker: Broker, door: Door, publishing: Publishing, buying: Buying) -> None:
        self.settings: FanoutSettings = hub.settings
        self._hub = hub
        self._broker = broker
        self._door = door
        self._publishing = publishing
        self._buying = buying
        self._tasks: set[asyncio.Task[None]] = set()
        self._buys: dict[RoomSocket, int] = {}

    @property
    def now(self) -> float:
        """The hub's clock."""
        return self._hub.now

    def admit(self, path: str) -> Room:
        """The room behind `/ws/<ns>/<name>`; Refusal when it is not here, or not now."""
        room = self._hub.rooms.get(path.removeprefix("/ws/")) if path.startswith("/ws/") else None
        if room is None:
            raise Refusal(404, "unknown_room", "There is no such room here.")
        if self._hub.draining or not self._broker.is_ready(room):
            raise Refusal(503, "unavailable", "This pod takes nobody in now; try again.", (("Retry-After", "1"),))
        return room

    def opened(self, socket: RoomSocket) -> None:
        """The handshake is done."""
        self._hub.opened(socket)

    def leaving(self, socket: RoomSocket) -> None:
        """The socket is closing or gone."""
        self._buys.pop(socket, None)
        self._hub.leaving(socket)

    def lost(self, socket: RoomSocket) -> None:
        """The connection is gone."""
        self._hub.lost(socket)

    def on_pause(self, socket: RoomSocket) -> None:
        """The transport's buffer filled up, or emptied."""
        self._hub.on_pause(socket)

    def on_text(self, socket: RoomSocket, text: str) -> None:
        """A whole message."""
        if not self._is_paced(socket):
            return
        kind, about = "unknown", ""
        try:
            frame = messages.parse(text)
            kind, about = type(frame).__name__.lower(), getattr(frame, "id", "")
            self._handle(socket, frame)
        except NotJson as error:
            self._refuse(socket, kind, messages.error("bad_frame", f"Frames are JSON objects: {error}."))
            self._hub.close(socket, BAD_FRAME, "bad frame")
        except Refused as error:
            self._refuse(socket, kind, messages.error(error.code, error.detail, field="token"))
            self._hub.close(socket, BAD_TOKEN, error.code)
        except Invalid as error:
            self._refuse(socket, kind, messages.error(error.code, error.detail, field=error.field, about=about))
        except Denied as error:
            self._deny(socket, kind, error, about)

    def _is_paced(self, socket: RoomSocket) -> bool:
        """False for what comes faster than anybody types; who goes on and on is shown the door."""
        if socket.inbound is None:
            socket.inbound = TokenBucket(FRAMES_A_SECOND, FRAMES_BURST)
        wait = socket.inbound.take(time.monotonic())
        if not wait:
            socket.strikes = max(0, socket.strikes - 1)
            return True
        socket.strikes += 1
        if socket.strikes == 1 or socket.strikes % 20 == 0:
            message = messages.error("rate_limited", "Too many frames.", retry_after=wait)
            self._refuse(socket, "unknown", message)
        else:
            self._hub.metrics.inbound("unknown", "rate_limited")
        if socket.strikes >= MAX_STRIKES:
            self._hub.close(socket, POLICY, "flood")
        return False

    def _handle(self, socket: RoomSocket, frame: messages.Inbound) -> None:
        if isinstance(frame, Hello):
            self._on_hello(socket, frame)
        elif isinstance(frame, Ping):
            socket.send(messages.encode({"type": "pong", "now_ms": int(time.time() * 1000)}))
        elif isinstance(frame, Publish):
            claims = self._claims(socket)
            self._publishing.check(socket.room, claims, frame)
            self._enqueue(socket, claims, frame)
            return
        elif isinstance(frame, Buy):
            self._on_buy(socket, frame)
        self._hub.metrics.inbound(type(frame).__name__.lower(), "ok")

    def _on_hello(self, socket: RoomSocket, frame: Hello) -> None:
        room = socket.room.name
        if socket.paused_at and socket.buffered() > self.settings.skip_chat_bytes:
            raise Denied("rate_limited", "Read what was sent first.", retry_after=1.0)
        if frame.rooms and room not in frame.rooms:
            raise Denied("unknown_room", f"This socket leads to {room}.", field="rooms")
        claims = self._door.identify(frame.token, room)
        stood = frame.since.get(room)
        since = Position(stood.epoch, stood.offset) if stood else None
        if not self._door.greet_at_once(socket, claims, since) and since:
            self._spawn(self._door.greet(socket, claims, since))

    def _on_buy(self, socket: RoomSocket, frame: Buy) -> None:
        claims = self._claims(socket)
        under_way = self._buys.get(socket, 0)
        if under_way >= MAX_BUYS_UNDER_WAY:
            raise Denied("rate_limited", "Wait for the answers to your earlier taps.", retry_after=1.0)
        tap = self._buying.check(socket.room, claims, frame)
        self._buys[socket] = under_way + 1
        self._spawn(self._buying.buy(tap, frame.id)).add_done_callback(lambda _: self._bought(socket))

    def _bought(self, socket: RoomSocket) -> None:
        left = self._buys.get(socket, 0) - 1
        if left > 0:
            self._buys[socket] = left
        else:
            self._buys.pop(socket, None)

    def _claims(self, socket: RoomSocket) -> Claims:
        """Who speaks; Denied before the welcome and after the token's end."""
        if socket.claims is None:
            raise Denied("hello_first", "Say hello first.", field="type")
        if socket.claims.expires_at <= time.time():
            raise Denied("token_expired", "Say hello again with a fresh token.", field="token")
        return socket.claims

    def _enqueue(self, socket: RoomSocket, claims: Claims, frame: Publish) -> None:
        if socket.todo is None:
            socket.todo = deque(((claims, frame),))
            self._spawn(self._work_off(socket))
        elif len(socket.todo) >= MAX_WAITING_PUBLISHES:
            raise Denied("rate_limited", "Too much waits to be published.", retry_after=1.0)
        else:
            socket.todo.append((claims, frame))

    async def _work_off(self, socket: RoomSocket) -> None:
        """Publish what waits, in order, and end."""
        try:
            while socket.todo:
                claims, frame = socket.todo.popleft()
                await self._publish(socket, claims, frame)
        finally:
            socket.todo = None

    async def _publish(self, socket: RoomSocket, claims: Claims, frame: Publish) -> None:
        kind = frame.event
        try:
            offset = await self._publishing.publish(socket.room, claims, frame)
        except Invalid as error:
            self._refuse(socket, kind, messages.error(error.code, error.detail, field=error.field, about=frame.id))
        except NotJson as error:
            self._refuse(socket, kind, messages.error("invalid_frame", str(error), field="data", about=frame.id))
        except Denied as error:
            self._deny(socket, kind, error, frame.id)
        except BrokerAway as error:
            logger.warning("nothing can be published: %s", error)
            detail = "The room cannot take this now; send it again with the same id."
            self._deny(socket, kind, Denied("unavailable", detail, retry_after=RETRY_SECONDS), frame.id)
        else:
            socket.send(messages.encode({"type": "ack", "id": frame.id, "offset": offset}))
            self._hub.metrics.inbound(kind, "ok")

    def _deny(self, socket: RoomSocket, kind: str, error: Denied, about: str) -> None:
        message = messages.error(
            error.code, error.detail, field=error.field, retry_after=error.retry_after, about=about
        )
        self._refuse(socket, kind, message)

    def _refuse(self, socket: RoomSocket, kind: str, message: dict[str, object]) -> None:
        self._hub.metrics.inbound(kind, str(message["code"]))
        socket.send(messages.encode(message))

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run beside; the reference keeps the task alive, and its failure is logged."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("an action failed", exc_info=error)
