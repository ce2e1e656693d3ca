"""The way into a room: who is it, where do they stand, and what do they get to begin with.

Joining and the history that goes with it are one step without a pause, so no event falls between them.
"""

import time
from typing import Any

import msgspec

from workloads.common.tokens import Claims, TokenError, Verifier
from workloads.fanout import messages, recover
from workloads.fanout.broker import Broker, BrokerAway
from workloads.fanout.hub import Hub
from workloads.fanout.protocol import RoomSocket
from workloads.fanout.recover import Position, SingleFlight
from workloads.fanout.ring import Entry
from workloads.fanout.room import Room

HISTORY_EVENTS = 50
RECOVERY_BYTES = 512 * 1024


class Refused(Exception):
    """The token does not open this room."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Door:
    """Greets sockets of all rooms."""

    def __init__(self, hub: Hub, broker: Broker, verifier: Verifier) -> None:
        self._hub = hub
        self._broker = broker
        self._verifier = verifier
        self._flights = SingleFlight()
        self._snapshots: dict[str, tuple[Position, msgspec.Raw]] = {}

    def identify(self, token: str, room: str) -> Claims:
        """Claims that open `room`; Refused otherwise."""
        if not token:
            raise Refused("token_missing", "Send a token in hello (POST /api/v1/session gives one).")
        try:
            claims = self._verifier.verify(token)
        except TokenError as error:
            raise Refused("token_invalid", f"Sign in again: {error}.") from error
        if not claims.may_act_in(room):
            raise Refused("token_foreign", f"This token is not for {room}.")
        return claims

    def greet_at_once(self, socket: RoomSocket, claims: Claims, since: Position | None) -> bool:
        """Welcome from memory; False when the log has to be read first."""
        room = socket.room
        if since is None:
            self._welcome(socket, claims, None, "snapshot")
            return True
        if since.epoch == room.ring.epoch and since.offset > room.flushed:
            room.flush()
        missed = recover.from_ring(room.ring, since, room.flushed)
        if missed is None and since.epoch == room.ring.epoch:
            return False
        self._welcome(socket, claims, missed, "ring" if missed is not None else "snapshot")
        return True

    async def greet(self, socket: RoomSocket, claims: Claims, since: Position) -> None:
        """Welcome somebody who was away for longer than memory reaches, or is ahead of this pod."""
        room = socket.room
        log: list[Entry] = []
        try:
            if since.offset > room.flushed:
                await self._broker.catch_up(room)
                room.flush()
            else:
                log = await self._flights.do(room.name, lambda: self._broker.read_log(room.name))
        except BrokerAway:
            # The room lives on without its log: the client hears that it has not recovered.
            log = []
        until = room.flushed
        may = recover.may_be_in_log(room.ring, since, until)
        missed = recover.splice(log, room.ring, since, until) if may else None
        if not socket.closing:
            self._welcome(socket, claims, missed, "log" if missed is not None else "snapshot")

    def _welcome(self, socket: RoomSocket, claims: Claims, missed: list[Entry] | None, source: str) -> None:
        room = socket.room
        if missed is not None and sum(len(entry.raw) for entry in missed) > RECOVERY_BYTES:
            missed, source = None, "snapshot"
        if socket.claims and socket.claims.sub != claims.sub:
            room.leave(socket, socket.claims.sub)
        socket.claims = claims
        socket.gapped = False
        room.join(socket, claims.sub)
        history = self._snapshot(room) if missed is None else _raw_list(missed)
        self._hub.greeted(socket)
        self._hub.metrics.recovered(source)
        socket.send(messages.encode(_frame(room, claims, history, recovered=missed is not None)))

    def _snapshot(self, room: Room) -> msgspec.Raw:
        """The last events, encoded once for all who join at the same position."""
        known = self._snapshots.get(room.name)
        if known is None or known[0] != room.position:
            known = room.position, _raw_list(room.ring.newest(HISTORY_EVENTS, room.flushed))
            self._snapshots[room.name] = known
        return known[1]


def _frame(room: Room, claims: Claims, history: msgspec.Raw, *, recovered: bool) -> dict[str, Any]:
    state, now = room.state, int(time.time() * 1000)
    # A board says what was; only its clock is brought up to now, or the first countdown would run late.
    sale = state.sale and state.sale | {"server_now_ms": now}
    return {
        "type": "welcome",
        "user": {"id": claims.sub, "name": claims.name, "role": claims.role},
        "room": room.name,
        "epoch": room.position.epoch,
        "offset": room.position.offset,
        "recovered": recovered,
        "history": history,
        "state": {
            "pins": state.pins,
            "viewers": max(state.viewers, len(room.members)),
            "sale": sale,
            "stream": {"phase": state.phase},
        },
        "now_ms": now,
    }


def _raw_list(entries: list[Entry]) -> msgspec.Raw:
    return msgspec.Raw(b"[" + b",".join(entry.raw for entry in entries) + b"]")
