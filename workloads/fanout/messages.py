"""The frames of the room's socket as types (docs/explanation/contracts.md, "The room's socket").

Inbound ones are decoded and checked in one step; a wrong one becomes `Invalid` with the field's name. Outbound ones are
encoded once, however many sockets get them. Unknown members are ignored, so that newer clients may say more.
"""

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

_PATH = re.compile(r" - at `(?:key in )?\$\.?(.*)`$")
_REQUIRED = re.compile(r"missing required field `(.+?)`")


class Invalid(Exception):
    """The frame is JSON but not what it should be; `code` is stable, `field` names the member."""

    def __init__(self, code: str, detail: str, field: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.field = field


class NotJson(Exception):
    """The frame is not even JSON."""


Sku = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Id = Annotated[str, Meta(min_length=1, max_length=64)]
Web = Annotated[str, Meta(max_length=500, pattern=r"^(/|https?://|$)")]
Title = Annotated[str, Meta(min_length=1, max_length=200)]


class Since(msgspec.Struct):
    """Where the client stands in one room."""

    epoch: Annotated[str, Meta(max_length=64)]
    offset: Annotated[int, Meta(ge=0, le=2**53)]


class Hello(msgspec.Struct, tag_field="type", tag="hello"):
    """First frame; a later one renews the token or asks for what was missed."""

    token: Annotated[str, Meta(max_length=8192)]
    rooms: Annotated[list[str], Meta(max_length=16)] = []
    since: Annotated[dict[str, Since], Meta(max_length=16)] = {}


class Publish(msgspec.Struct, tag_field="type", tag="publish"):
    """Say something to the room; `id` is the idempotency key."""

    room: str
    event: str
    id: Id
    data: msgspec.Raw


class Buy(msgspec.Struct, tag_field="type", tag="buy"):
    """Tap the buy button; `id` is the idempotency key."""

    sale: str
    sku: Sku
    id: Id
    qty: Annotated[int, Meta(ge=1, le=1000)] = 1


class Ping(msgspec.Struct, tag_field="type", tag="ping"):
    """Asks for the server's clock."""


class ChatText(msgspec.Struct):
    """Data of a chat message."""

    text: str


class Money(msgspec.Struct):
    """Integer minor units and an ISO 4217 code."""

    amount: Annotated[int, Meta(ge=0, le=2**53)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]


class Pin(msgspec.Struct, omit_defaults=True):
    """A product on the screen."""

    sku: Sku
    title: Title
    price: Money
    image: Web = ""
    titles: Annotated[dict[str, Title], Meta(max_length=16)] | None = None
    list_price: Money | None = None
    sale: Annotated[str, Meta(max_length=64)] = ""


class Unpin(msgspec.Struct):
    """A product leaves the screen."""

    sku: Sku


Inbound = Hello | Publish | Buy | Ping
Data = TypeVar("Data", ChatText, Pin, Unpin)
_INBOUND = msgspec.json.Decoder(Inbound)
_ENCODER = msgspec.json.Encoder()


def parse(text: str) -> Inbound:
    """A client's frame; NotJson or Invalid."""
    try:
        frame: Inbound = _INBOUND.decode(text)
    except msgspec.ValidationError as error:
        if str(error).startswith("Expected `object`") and " - at " not in str(error):
            raise NotJson(str(error)) from error
        raise _invalid(error) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise NotJson(str(error)) from error
    return frame


def parse_data(raw: msgspec.Raw, kind: type[Data]) -> Data:
    """The `data` of a publish; Invalid otherwise."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise _invalid(error, "data") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise NotJson(str(error)) from error


def _invalid(error: msgspec.ValidationError, prefix: str = "") -> Invalid:
    text = str(error)
    path = found.group(1) if (found := _PATH.search(text)) else ""
    missing = found.group(1) if (found := _REQUIRED.search(text)) else ""
    field = ".".join(part for part in (prefix, path, missing) if part)
    return Invalid("invalid_frame", text.partition(" - at ")[0], field)


def encode(message: dict[str, Any]) -> bytes:
    """One frame's JSON."""
    return _ENCODER.encode(message)


def error(
    code: str, detail: str, *, field: str = "", retry_after: float | None = None, about: str = ""
) -> dict[str, Any]:
    """An error frame; `about` is the id of the frame that it answers, `retry_after` counts seconds."""
    message: dict[str, Any] = {"type": "error", "code": code, "detail": detail}
    if field:
        message["field"] = field
    if retry_after is not None:
        message["retry_after"] = round(max(retry_after, 0.001), 3)
    if about:
        message["id"] = about
    return message


def batch(events: list[bytes]) -> bytes:
    """One frame for several events; a single one travels as itself."""
    return events[0] if len(events) == 1 else b'{"type":"batch","events":[' + b",".join(events) + b"]}"
