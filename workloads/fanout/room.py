"""One room: its sockets, its history, its lanes. The only place that writes to many sockets.

Events with an offset leave in the order of their offsets: critical ones at once, chat at once in a small room and on a
tick in a large one; a critical event takes the waiting chat with it. Ephemeral ones are merged, the newest of a kind
wins. A message is built once and the same bytes go to every socket; nothing here awaits, encodes or copies per socket.

A socket joins at `flushed`, the position that everybody has: what waits for the next tick reaches it like all others,
so joining in the middle of a tick neither loses nor repeats an event.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from workloads.fanout import messages
from workloads.fanout.frames import Prepared
from workloads.fanout.metrics import Metrics
from workloads.fanout.policy import Lane, SlowPolicy, TokenBucket, Verdict
from workloads.fanout.recover import Position
from workloads.fanout.ring import Entry, Fit, Ring
from workloads.fanout.state import RoomState, ephemeral_key

EPHEMERAL_TICK_SECONDS = 0.1
BATCH_BYTES = 48 * 1024
TICKS = ((1_000, 0.0), (5_000, 0.025))
LARGEST_TICK_SECONDS = 0.05
SLOW_CODE = 4008


class Outlet(Protocol):
    """A socket as the room sees it; `write` never blocks and never raises."""

    write: Callable[[bytes], None]
    deflate: bool
    paused_at: float
    gapped: bool
    stale: bool

    def buffered(self) -> int:
        """Bytes that wait in the transport."""

    def fail(self, code: int, reason: str) -> None:
        """Close with a code."""


class Handle(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Do not call."""


CallLater = Callable[[float, Callable[[], None]], Handle]


class Member:
    """One user's presence in a room, over all their sockets here."""

    __slots__ = ("buys", "chats", "sockets")

    def __init__(self) -> None:
        self.sockets: list[Outlet] = []
        self.buys: TokenBucket | None = None
        self.chats: TokenBucket | None = None


def chat_tick(sockets: int) -> float:
    """Seconds that chat may wait for company in a room of this size."""
    return next((tick for below, tick in TICKS if sockets < below), LARGEST_TICK_SECONDS)


def lane_of(entry: Entry) -> Lane:
    """How much an event matters: what is not chat and has an offset is never dropped."""
    if not entry.offset:
        return Lane.EPHEMERAL
    return Lane.CHAT if entry.kind == "chat" else Lane.CRITICAL


class Room:
    """The sockets of one stream on this pod."""

    def __init__(
        self,
        name: str,
        metrics: Metrics,
        *,
        call_later: CallLater,
        ring_events: int,
        slow: SlowPolicy | None = None,
        tick: Callable[[int], float] = chat_tick,
    ) -> None:
        self.name = name
        self.sockets: set[Outlet] = set()
        self.members: dict[str, Member] = {}
        self.ring = Ring(ring_events)
        self.state = RoomState()
        self.flushed = 0
        self._metrics = metrics
        self._slow = slow or SlowPolicy()
        self._call_later = call_later
        self._tick = tick
        self._pending: list[Entry] = []
        self._arrived = 0.0
        self._timer: Handle | None = None
        self._timer_is_now = False
        self._fresh: dict[str, bytes] = {}
        self._latest: dict[str, bytes] = {}
        self._ephemeral_timer: Handle | None = None

    @property
    def position(self) -> Position:
        """What every socket of this room has been sent."""
        return Position(self.ring.epoch, self.flushed)

    def join(self, socket: Outlet, user: str) -> Member:
        """From now on the socket gets what comes after `position`."""
        member = self.members.get(user)
        if member is None:
            member = self.members[user] = Member()
        if socket not in self.sockets:
            self.sockets.add(socket)
            member.sockets.append(socket)
        return member

    def leave(self, socket: Outlet, user: str) -> None:
        """The socket gets nothing more."""
        self.sockets.discard(socket)
        member = self.members.get(user)
        if member and socket in member.sockets:
            member.sockets.remove(socket)
            if not member.sockets:
                del self.members[user]

    def accept(self, entry: Entry) -> Fit:
        """An event from the broker. Only NEXT was taken (ephemeral ones always are); for HOLE and OTHER_HISTORY the
        caller has to read the log."""
        if not entry.offset:
            self._accept_ephemeral(entry)
            return Fit.NEXT
        fit = self.ring.fit(entry)
        if fit is not Fit.NEXT:
            return fit
        self.ring.add(entry)
        self.state.apply(entry)
        if not self._pending:
            self._arrived = time.perf_counter()
        self._pending.append(entry)
        self._schedule(0.0 if lane_of(entry) is Lane.CRITICAL else self._tick(len(self.sockets)))
        return fit

    def restart(self, epoch: str, last: int, entries: Sequence[Entry], saved: Mapping[str, str]) -> None:
        """The history was lost, rewound or left behind: begin anew at `last` and tell every socket where it stands."""
        self.flush()
        before = self.position
        if epoch != before.epoch:
            self.state.rebase()
        self.state.load(saved, epoch)
        self.ring.reset(epoch, last, entries)
        for entry in self.ring.newest(len(entries), last):
            self.state.apply(entry)
        self.flushed = last
        if before.epoch and self.sockets:
            self.send_all(self._gap_frame(before), Lane.CRITICAL)

    def flush(self) -> None:
        """Write what waits with an offset."""
        if self._timer:
            self._timer.cancel()
        self._timer, self._timer_is_now = None, False
        entries, self._pending = self._pending, []
        if not entries:
            return
        start = 0
        while start < len(entries):
            end, size = start + 1, len(entries[start].raw)
            while end < len(entries) and size + len(entries[end].raw) < BATCH_BYTES:
                size += len(entries[end].raw)
                end += 1
            self._write(entries[start:end])
            start = end
        self._metrics.tick_lag.observe(time.perf_counter() - self._arrived)

    def flush_ephemeral(self) -> None:
        """Write the newest of each kind."""
        if self._ephemeral_timer:
            self._ephemeral_timer.cancel()
            self._ephemeral_timer = None
        events, self._fresh = list(self._fresh.values()), {}
        if events:
            self.send_all(Prepared(messages.batch(events)), Lane.EPHEMERAL, len(events))

    def send_all(self, prepared: Prepared, lane: Lane, count: int = 1) -> None:
        """The same bytes to every socket; those that are slow by policy."""
        slow = self._write_fast(prepared)
        for socket in slow:
            self._write_slow(socket, prepared, lane, count)
        self._metrics.delivered(lane, (len(self.sockets) - len(slow)) * count)

    def tell(self, user: str, payload: bytes) -> int:
        """A private message to all sockets of a user; how many there are."""
        member = self.members.get(user)
        if member is None:
            return 0
        prepared = Prepared(payload)
        for socket in member.sockets:
            socket.write(prepared.packed if socket.deflate else prepared.plain)
        self._metrics.delivered(Lane.CRITICAL, len(member.sockets))
        return len(member.sockets)

    def refresh(self, socket: Outlet) -> None:
        """The socket can write again: bring it the newest of what it was not sent."""
        if socket.stale and self._latest:
            prepared = Prepared(messages.batch(list(self._latest.values())))
            socket.write(prepared.packed if socket.deflate else prepared.plain)
        socket.stale = socket.gapped = False

    def _accept_ephemeral(self, entry: Entry) -> None:
        self.state.apply(entry)
        key = ephemeral_key(entry)
        self._fresh[key] = self._latest[key] = entry.raw
        if self._ephemeral_timer is None:
            self._ephemeral_timer = self._call_later(EPHEMERAL_TICK_SECONDS, self.flush_ephemeral)

    def _schedule(self, delay: float) -> None:
        if self._timer and (self._timer_is_now or delay > 0):
            return
        if self._timer:
            self._timer.cancel()
        self._timer_is_now = delay == 0
        self._timer = self._call_later(delay, self.flush)

    def _write(self, entries: list[Entry]) -> None:
        before, self.flushed = self.position, entries[-1].offset
        slow = self._write_fast(Prepared(messages.batch([entry.raw for entry in entries])))
        critical = [entry.raw for entry in entries if lane_of(entry) is Lane.CRITICAL]
        for socket in slow:
            self._write_slow_batch(socket, entries, critical, before)
        fast = len(self.sockets) - len(slow)
        self._metrics.delivered(Lane.CRITICAL, fast * len(critical))
        self._metrics.delivered(Lane.CHAT, fast * (len(entries) - len(critical)))

    def _write_fast(self, prepared: Prepared) -> list[Outlet]:
        """Write to all sockets that keep up; the others are returned."""
        slow = []
        plain, packed = prepared.plain, None
        for socket in self.sockets:
            if socket.paused_at:
                slow.append(socket)
            elif socket.deflate:
                packed = packed or prepared.packed
                socket.write(packed)
            else:
                socket.write(plain)
        return slow

    def _write_slow(self, socket: Outlet, prepared: Prepared, lane: Lane, count: int) -> None:
        verdict = self._slow.verdict(lane, socket.buffered())
        if verdict is Verdict.SEND:
            socket.write(prepared.packed if socket.deflate else prepared.plain)
            self._metrics.delivered(lane, count)
        elif verdict is Verdict.DROP:
            socket.stale = True
            self._metrics.dropped(lane, "slow", count)
        else:
            self._give_up(socket)

    def _write_slow_batch(self, socket: Outlet, entries: list[Entry], critical: list[bytes], before: Position) -> None:
        verdict = self._slow.verdict(Lane.CHAT, socket.buffered())
        if verdict is Verdict.CLOSE:
            self._give_up(socket)
            return
        skipped = len(entries) - len(critical) if verdict is Verdict.DROP else 0
        if skipped:
            self._metrics.dropped(Lane.CHAT, "slow", skipped)
            if not socket.gapped:
                # It stands in the stream before everything later, so the client learns of the gap in time.
                socket.write(self._gap_frame(before).plain)
                socket.gapped = True
        events = critical if skipped else [entry.raw for entry in entries]
        if events:
            socket.write(Prepared(messages.batch(events)).plain)
        if verdict is Verdict.SEND:
            socket.gapped = False
        self._metrics.delivered(Lane.CRITICAL, len(critical))
        self._metrics.delivered(Lane.CHAT, len(events) - len(critical))

    def _give_up(self, socket: Outlet) -> None:
        self._metrics.dropped(Lane.CRITICAL, "closed")
        socket.fail(SLOW_CODE, "slow consumer")

    def _gap_frame(self, position: Position) -> Prepared:
        gap = {"type": "gap", "room": self.name, "epoch": position.epoch, "offset": position.offset}
        return Prepared(messages.encode(gap))
