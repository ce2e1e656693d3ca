"""What a room shows besides its chat: pinned products, the sale's board, the stream's phase, the viewers. Pure.

Pins are a fold of the room's pin and unpin events in the order of their offsets, so that every pod, and every client,
comes to the same list without asking the others. A sale's board is the newest that was heard, by the sale's own clock.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from workloads.fanout.ring import Entry

MAX_PINS = 3
MAX_BOARDS = 8
SALE = "sale."

_DATA = msgspec.json.Decoder(dict[str, Any])
_RANK = {"Open": 0, "Countdown": 1, "SoldOut": 2, "Paused": 3, "Scheduled": 4}


class RoomState:
    """The state of one room. `dirty` says that pins or boards changed since they were saved."""

    def __init__(self) -> None:
        self.pins: list[dict[str, Any]] = []
        self.pins_at = 0
        self.phase = ""
        self.viewers = 0
        self.dirty = False
        self._boards: dict[str, dict[str, Any]] = {}

    def apply(self, entry: Entry) -> None:
        """Take an event in; one whose data are not what its name says is shown to clients but changes nothing."""
        if entry.kind in ("pin", "unpin"):
            self._apply_pin(entry)
        elif entry.kind.startswith(SALE):
            self.take_board(_data(entry))

    def _apply_pin(self, entry: Entry) -> None:
        data = _data(entry)
        sku = data.get("sku")
        if not sku or entry.offset <= self.pins_at:
            return
        kept = [pin for pin in self.pins if pin.get("sku") != sku]
        self.pins = [*kept, data][-MAX_PINS:] if entry.kind == "pin" else kept
        self.pins_at = entry.offset
        self.dirty = True

    def take_board(self, board: dict[str, Any]) -> None:
        """Keep a sale's board unless a newer one of the same sale is known."""
        sale, clock = board.get("id"), board.get("server_now_ms")
        if not isinstance(sale, str) or not isinstance(clock, int):
            return
        known = self._boards.get(sale)
        if known is None or known["server_now_ms"] <= clock:
            self._boards[sale] = board
            self.dirty = True
        if len(self._boards) > MAX_BOARDS:
            del self._boards[min(self._boards, key=lambda key: self._boards[key]["server_now_ms"])]

    @property
    def sale(self) -> dict[str, Any] | None:
        """The board that matters most: an open sale before a coming one, the newest of equals."""
        return min(
            self._boards.values(),
            key=lambda board: (_RANK.get(str(board.get("phase")), 9), -board["server_now_ms"]),
            default=None,
        )

    def is_full_for(self, sku: str) -> bool:
        """Whether one more product would push another off the screen."""
        return len(self.pins) >= MAX_PINS and not self.has_pinned(sku)

    def has_pinned(self, sku: str) -> bool:
        """Whether the product is on the screen."""
        return any(pin.get("sku") == sku for pin in self.pins)

    def rebase(self) -> None:
        """A new history begins: what was shown stays, and its events count from 1."""
        self.pins_at = 0
        self.dirty = True

    def dump(self, epoch: str) -> dict[str, str]:
        """Fields to be saved beside the history."""
        pins = {"epoch": epoch, "offset": self.pins_at, "items": self.pins}
        fields = {"pins": msgspec.json.encode(pins).decode()}
        if self.sale is not None:
            fields["sale"] = msgspec.json.encode(self.sale).decode()
        return fields

    def load(self, fields: Mapping[str, str], epoch: str) -> None:
        """Take saved fields over where they know more; damaged ones are as good as none."""
        try:
            pins = _DATA.decode(fields.get("pins") or "{}")
            items = [item for item in pins.get("items", []) if isinstance(item, dict)][-MAX_PINS:]
            offset = int(pins.get("offset", 0)) if pins.get("epoch") == epoch else 0
            board = _DATA.decode(fields.get("sale") or "{}")
        except (msgspec.DecodeError, TypeError, ValueError):
            return
        if offset > self.pins_at or not self.pins:
            self.pins, self.pins_at = items, max(offset, self.pins_at)
        self.take_board(board)


def ephemeral_key(entry: Entry) -> str:
    """Which ephemeral events replace one another: those of a kind, and for sales those of the same sale."""
    if entry.kind.startswith(SALE):
        return f"{entry.kind} {_data(entry).get('id', '')}"
    return entry.kind


class _Body(msgspec.Struct):
    data: dict[str, Any] = {}


_BODY = msgspec.json.Decoder(_Body)


def _data(entry: Entry) -> dict[str, Any]:
    try:
        return _BODY.decode(entry.raw).data
    except msgspec.DecodeError:
        return {}
