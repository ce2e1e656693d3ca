"""What people in a room may do: say something, pin a product, buy.

Each action checks its right and its data first and answers with a typed error; only then it touches the broker. What
was published comes back through the broker like everybody's, never as a local echo, so nobody sees what others cannot.
"""

import time
from typing import Any

import msgspec

from workloads.common.purchase import Purchases, Result
from workloads.common.shield import Tap
from workloads.common.tokens import Claims
from workloads.fanout import messages
from workloads.fanout.broker import Broker
from workloads.fanout.config import Chat
from workloads.fanout.hub import Hub
from workloads.fanout.messages import Buy, ChatText, Invalid, Pin, Publish, Unpin
from workloads.fanout.policy import BadText, TokenBucket, clean_text, is_uuid
from workloads.fanout.room import Room
from workloads.fanout.state import MAX_PINS

CHATS_A_SECOND, CHATS_BURST = 5.0, 10.0
BUYS_A_SECOND, BUYS_BURST = 5.0, 10.0


class Denied(Exception):
    """A typed refusal; `retry_after` counts seconds where trying again helps."""

    def __init__(self, code: str, detail: str, *, field: str = "", retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.field = field
        self.retry_after = retry_after


class Publishing:
    """Chat and pins over the broker; `chat` are the rules that hold now."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.chat = Chat()

    def check(self, room: Room, claims: Claims, frame: Publish) -> None:
        """Everything that can be refused without asking anybody; Denied or Invalid."""
        if frame.room != room.name:
            raise Denied("unknown_room", f"This socket is in {room.name}.", field="room")
        if frame.event not in ("chat", "pin", "unpin"):
            raise Denied("unknown_event", "Clients publish chat, pin and unpin.", field="event")
        if not is_uuid(frame.id):
            raise Invalid("invalid_frame", "must be a UUID", "id")
        if frame.event != "chat" and not claims.is_staff_of(room.name):
            raise Denied("forbidden", "Only moderators and hosts pin products.", field="event")
        if frame.event == "chat":
            self._check_chat_rate(room, claims)

    async def publish(self, room: Room, claims: Claims, frame: Publish) -> int:
        """The offset under which it stands; Denied, Invalid or BrokerAway."""
        if frame.event == "chat":
            data = await self._chat(room, claims, frame)
        elif frame.event == "pin":
            data = _pin(room, frame)
        else:
            data = _unpin(room, frame)
        # The user is part of the key: nobody can swallow another's message by guessing its id.
        published = await self._broker.publish(room.name, frame.event, data, key=f"{claims.sub}:{frame.id}")
        return published.offset

    def _check_chat_rate(self, room: Room, claims: Claims) -> None:
        if not self.chat.enabled:
            raise Denied("chat_disabled", "The chat of this stream is closed.", field="event")
        member = room.members[claims.sub]
        member.chats = member.chats or TokenBucket(CHATS_A_SECOND, CHATS_BURST)
        wait = member.chats.take(time.monotonic())
        if wait:
            raise Denied("rate_limited", "Not so fast.", retry_after=wait)

    async def _chat(self, room: Room, claims: Claims, frame: Publish) -> dict[str, Any]:
        text = messages.parse_data(frame.data, ChatText).text
        try:
            text = clean_text(text, max_length=self.chat.max_length)
        except BadText as error:
            raise Invalid("invalid_text", f"The text {error}.", "data.text") from error
        if self.chat.slow_mode_seconds and not claims.is_staff_of(room.name):
            wait = await self._broker.take_turn(room.name, claims.sub, frame.id, self.chat.slow_mode_seconds)
            if wait:
                raise Denied("slow_mode", "Slow mode is on.", retry_after=wait)
        return {"id": frame.id, "text": text, "user": {"id": claims.sub, "name": claims.name, "role": claims.role}}


def _pin(room: Room, frame: Publish) -> dict[str, Any]:
    pin = messages.parse_data(frame.data, Pin)
    if room.state.is_full_for(pin.sku):
        raise Denied("too_many_pins", f"At most {MAX_PINS} products; take one off first.", field="data.sku")
    data: dict[str, Any] = msgspec.to_builtins(pin)
    return data


def _unpin(room: Room, frame: Publish) -> dict[str, Any]:
    unpin = messages.parse_data(frame.data, Unpin)
    if not room.state.has_pinned(unpin.sku):
        raise Denied("not_pinned", "This product is not on the screen.", field="data.sku")
    return {"sku": unpin.sku}


class Buying:
    """The buy button. Answers go to all sockets of the buyer on this pod, and to nobody else."""

    def __init__(self, hub: Hub, purchases: Purchases | None) -> None:
        self._hub = hub
        self._purchases = purchases

    def check(self, room: Room, claims: Claims, frame: Buy) -> Tap:
        """The tap, when it may be sent on; Denied or Invalid."""
        for field in ("sale", "id"):
            if not is_uuid(getattr(frame, field)):
                raise Invalid("invalid_frame", "must be a UUID", field)
        if self._purchases is None:
            raise Denied("unavailable", "This room sells nothing.")
        member = room.members[claims.sub]
        member.buys = member.buys or TokenBucket(BUYS_A_SECOND, BUYS_BURST)
        wait = member.buys.take(time.monotonic())
        if wait:
            raise Denied("rate_limited", "Not so fast; your earlier taps count.", retry_after=wait)
        return Tap(frame.sale.lower(), claims.sub, frame.sku, frame.qty, frame.id.lower())

    async def buy(self, tap: Tap, answer_to: str) -> None:
        """Wait for the ledger's answer and deliver it; `answer_to` is the id as the client wrote it."""
        if self._purchases is not None:
            self._deliver(tap.user, await self._purchases.buy(tap) | {"id": answer_to})

    def on_late(self, result: Result) -> None:
        """An answer whose waiter has gone."""
        self._deliver(str(result.get("user", "")), result)

    def _deliver(self, user: str, result: Result) -> None:
        told = {key: value for key, value in result.items() if key != "user"}
        self._hub.tell_user(user, messages.encode({"type": "order.result"} | told))
