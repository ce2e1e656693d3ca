"""A whole pod without network: the real desk, hub, room and protocol over a transport in memory and a clock by hand."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from workloads.common.tokens import Signer, Verifier, new_private_key
from workloads.fanout.actions import Buying, Publishing
from workloads.fanout.broker import MemoryBroker
from workloads.fanout.config import FanoutSettings
from workloads.fanout.desk import Desk
from workloads.fanout.frames import inflate
from workloads.fanout.hub import Hub
from workloads.fanout.metrics import Metrics
from workloads.fanout.protocol import RoomSocket
from workloads.fanout.ring import Entry
from workloads.fanout.room import Room
from workloads.fanout.welcome import Door

ROOM = "shop/launch"
SIGNER = Signer(new_private_key())
REQUEST = (
    f"GET /ws/{ROOM} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


class Timers:
    """`call_later` by hand."""

    def __init__(self) -> None:
        self.waiting: list[SimpleNamespace] = []

    def call_later(self, delay: float, call: Callable[[], None]) -> Any:
        timer = SimpleNamespace(delay=delay, call=call)
        timer.cancel = lambda: self.waiting.remove(timer) if timer in self.waiting else None
        self.waiting.append(timer)
        return timer

    def fire(self, *, below: float = 1e9) -> None:
        """Let every timer up to a delay ring."""
        for timer in [timer for timer in self.waiting if timer.delay < below]:
            if timer in self.waiting:
                self.waiting.remove(timer)
                timer.call()


class Wire(asyncio.Transport):
    """What the server wrote, and how much of it the client has not taken yet."""

    def __init__(self) -> None:
        super().__init__()
        self.out = bytearray()
        self.waiting = 0
        self.ended = False

    def write(self, data: Any) -> None:
        self.out += data

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def close(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.ended = True


def messages_in(data: bytearray) -> list[Any]:
    """JSON of the server's text frames in `data`, which is emptied; a close frame becomes its code."""
    found: list[Any] = []
    while data:
        size, start = data[1], 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size, start = int.from_bytes(data[2 : 2 + width], "big"), 2 + width
        first, payload = data[0], bytes(data[start : start + size])
        del data[: start + size]
        if first & 0x0F == 1:
            found.append(json.loads(inflate(payload, 1 << 24) if first & 0x40 else payload))
        elif first & 0x0F == 8:
            found.append(int.from_bytes(payload[:2], "big"))
    return found


def masked(text: str) -> bytes:
    """A client's text frame."""
    payload, mask = text.encode(), b"\x01\x02\x03\x04"
    size = len(payload)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


class LaggingBroker(MemoryBroker):
    """Rooms in `lagging` get their events only at `catch_up`, as from a slow pub/sub."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[int, list[Entry]] = {}
        self.lagging: set[int] = set()

    def deliver(self, room: Room, entry: Entry) -> None:
        if id(room) in self.lagging:
            self.held.setdefault(id(room), []).append(entry)
        else:
            room.accept(entry)

    def release(self, room: Room) -> None:
        """What was held arrives, in order."""
        self.lagging.discard(id(room))
        for entry in self.held.pop(id(room), []):
            room.accept(entry)

    async def catch_up(self, room: Room) -> None:
        lagging = id(room) in self.lagging
        self.release(room)
        if lagging:
            self.lagging.add(id(room))


@dataclass
class Visitor:
    """One socket and what its client has heard."""

    socket: RoomSocket
    wire: Wire
    heard: list[Any] = field(default_factory=list)

    def read(self) -> list[Any]:
        """New messages, batches taken apart."""
        fresh: list[Any] = []
        for message in messages_in(self.wire.out):
            parts = message["events"] if isinstance(message, dict) and message["type"] == "batch" else [message]
            fresh += parts
        self.heard += fresh
        return fresh

    def say(self, message: dict[str, Any]) -> None:
        self.socket.data_received(masked(json.dumps(message)))

    def leave(self) -> None:
        self.socket.connection_lost(None)


class Pod:
    """One pod; several may share a broker."""

    def __init__(
        self, broker: MemoryBroker, *, ring_events: int = 256, tick: Callable[[int], float] = lambda _: 0.0
    ) -> None:
        self.settings = FanoutSettings(ring_events=ring_events)
        self.metrics = Metrics(CollectorRegistry())
        self.hub = Hub(self.settings, self.metrics)
        self.timers = Timers()
        self.room = Room(
            ROOM,
            self.metrics,
            call_later=self.timers.call_later,
            ring_events=ring_events,
            slow=self.hub.slow,
            tick=tick,
        )
        self.hub.rooms[ROOM] = self.room
        self.broker = broker
        broker.attach(self.room)
        self.publishing = Publishing(broker)
        door = Door(self.hub, broker, Verifier(SIGNER.jwks()))
        self.desk = Desk(self.hub, broker, door, self.publishing, Buying(self.hub, None))

    def connect(self, *, deflate: bool = False) -> Visitor:
        """A socket after its handshake."""
        wire = Wire()
        socket = RoomSocket(
            self.desk, config=None, server_state=SimpleNamespace(connections=set()), app_state=SimpleNamespace()
        )
        socket.connection_made(wire)
        extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if deflate else ""
        socket.data_received(f"{REQUEST}{extension}\r\n".encode())
        answer, _, rest = bytes(wire.out).partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 ")
        wire.out[:] = rest
        return Visitor(socket, wire)

    def join(self, user: str, *, since: Any = None, deflate: bool = False) -> Visitor:
        """A socket that said hello."""
        visitor = self.connect(deflate=deflate)
        hello = {"type": "hello", "token": token(user)}
        if since is not None:
            hello["since"] = {ROOM: {"epoch": since[0], "offset": since[1]}}
        visitor.say(hello)
        return visitor


def token(user: str, role: Any = "viewer") -> str:
    return SIGNER.issue(sub=user, name=user, role=role, streams=["*"], ttl_seconds=600)
