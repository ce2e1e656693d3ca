"""All rooms and all sockets of this pod, and the clock that looks after them once a second.

One sweep replaces timers per connection: it pings a share of the sockets each second, cuts off the dead, the silent
at the door, those that do not finish their closing handshake, and slow ones that stay slow.
"""

import asyncio
import math
import random
import time
from collections.abc import Iterator

from workloads.common.loops import going_on
from workloads.fanout import messages
from workloads.fanout.config import FanoutSettings
from workloads.fanout.frames import RESTART
from workloads.fanout.metrics import Metrics
from workloads.fanout.policy import Lane, SlowPolicy
from workloads.fanout.protocol import RoomSocket
from workloads.fanout.room import SLOW_CODE, Room

SWEEP_SECONDS = 1.0
BAD_TOKEN = 4001
WAVE_SECONDS = 0.1
SOCKETS_A_SECOND = 100
RECONNECT_SPREAD_MS = 2000


class Hub:
    """Keyed by room, so that one pod may hold several; `now` is the monotonic clock of the last sweep."""

    def __init__(self, settings: FanoutSettings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.rooms: dict[str, Room] = {}
        self.now = time.monotonic()
        self.draining = False
        self.slow = SlowPolicy(
            drop_ephemeral=settings.drop_ephemeral_bytes,
            skip_chat=settings.skip_chat_bytes,
            close_bytes=settings.close_slow_bytes,
            close_seconds=settings.close_slow_seconds,
        )
        self._sockets: set[RoomSocket] = set()
        self._waiting: dict[RoomSocket, None] = {}
        self._closing: set[RoomSocket] = set()
        self._paused: set[RoomSocket] = set()
        self._beats: list[set[RoomSocket]] = [set() for _ in range(settings.ping_seconds)]
        self._beat = 0
        metrics.connections.set_function(lambda: float(len(self._sockets)))
        metrics.viewers.set_function(lambda: float(self.viewers))

    @property
    def connections(self) -> int:
        """Open sockets."""
        return len(self._sockets)

    @property
    def viewers(self) -> int:
        """Distinct users, over all rooms."""
        return sum(len(room.members) for room in self.rooms.values())

    def open_room(self, name: str) -> Room:
        """The room of that name, made when it is new."""
        if name not in self.rooms:
            loop = asyncio.get_running_loop()
            self.rooms[name] = Room(
                name, self.metrics, call_later=loop.call_later, ring_events=self.settings.ring_events, slow=self.slow
            )
        return self.rooms[name]

    def opened(self, socket: RoomSocket) -> None:
        """A socket came through the handshake and has to say hello in time."""
        self._sockets.add(socket)
        socket.deadline = time.monotonic() + self.settings.hello_seconds
        self._waiting[socket] = None
        socket.beat = random.randrange(len(self._beats))
        self._beats[socket.beat].add(socket)

    def greeted(self, socket: RoomSocket) -> None:
        """It did."""
        self._waiting.pop(socket, None)

    def leaving(self, socket: RoomSocket) -> None:
        """It is closing."""
        self._waiting.pop(socket, None)
        self._paused.discard(socket)
        self._beats[socket.beat].discard(socket)
        self._closing.add(socket)
        if socket.claims:
            socket.room.leave(socket, socket.claims.sub)

    def lost(self, socket: RoomSocket) -> None:
        """It is gone."""
        self._sockets.discard(socket)
        self._closing.discard(socket)

    def on_pause(self, socket: RoomSocket) -> None:
        """Its buffer filled up, or emptied."""
        if socket.closing:
            return
        if socket.paused_at:
            self._paused.add(socket)
        else:
            self._paused.discard(socket)
            socket.room.refresh(socket)

    def tell_user(self, user: str, payload: bytes) -> int:
        """A private message to all sockets of a user on this pod; how many there are."""
        return sum(room.tell(user, payload) for room in self.rooms.values())

    async def look_after(self) -> None:
        """Sweep once a second until cancelled."""
        while going_on():
            self.sweep(time.monotonic())
            await asyncio.sleep(SWEEP_SECONDS)

    def sweep(self, now: float) -> None:
        """One round."""
        self.now = now
        self._cut_closing(now)
        self._turn_away(now)
        for socket in list(self._paused):
            if self.slow.is_stuck(socket.buffered(), now - socket.paused_at):
                self.metrics.dropped(Lane.CRITICAL, "closed")
                self.close(socket, SLOW_CODE, "slow consumer")
        self._beat = (self._beat + 1) % len(self._beats)
        for socket in list(self._beats[self._beat]):
            if now - socket.seen > self.settings.dead_seconds:
                self.metrics.closed(1006)
                socket.abort()
            else:
                socket.ping()

    def close(self, socket: RoomSocket, code: int, reason: str) -> None:
        """Close a socket, counted."""
        if not socket.closing:
            self.metrics.closed(code)
            socket.fail(code, reason)

    def _cut_closing(self, now: float) -> None:
        for socket in [socket for socket in self._closing if socket.deadline <= now]:
            socket.abort()

    def _turn_away(self, now: float) -> None:
        for socket in [socket for socket in self._waiting if socket.deadline <= now]:
            detail = f"Say hello within {self.settings.hello_seconds:.0f} seconds."
            socket.send(messages.encode(messages.error("hello_missing", detail)))
            self.close(socket, BAD_TOKEN, "no hello")

    async def drain(self) -> None:
        """Send everybody elsewhere, in waves of which the last ends within `drain_seconds`."""
        self.draining = True
        waves = list(self._waves())
        for number, wave in enumerate(waves):
            for socket in wave:
                after = random.randrange(RECONNECT_SPREAD_MS)
                socket.send(messages.encode({"type": "reconnect", "after_ms": after}))
                self.close(socket, RESTART, "restart")
            if number < len(waves) - 1:
                await asyncio.sleep(WAVE_SECONDS)
        await self._until_closed()

    def _waves(self) -> Iterator[list[RoomSocket]]:
        everybody = list(self._sockets)
        random.shuffle(everybody)
        seconds = min(self.settings.drain_seconds, len(everybody) / SOCKETS_A_SECOND)
        count = max(1, math.floor(seconds / WAVE_SECONDS))
        for number in range(count):
            yield everybody[number::count]

    async def _until_closed(self) -> None:
        """Give the last wave a moment to finish its closing handshakes."""
        for _ in range(math.ceil(min(2.0, max(0.2, self.settings.drain_seconds)) / 0.02)):
            if not self._sockets:
                return
            await asyncio.sleep(0.02)
