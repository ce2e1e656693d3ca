"""LiveStreams that a Linear channel makes: its 24/7 output, and one for each showing of a slot with a template."""

from collections.abc import Sequence
from typing import Any

from operators.api import Channel
from operators.api.base import API_VERSION, seconds
from operators.api.programming import Slot
from operators.channel import names
from operators.channel.programme import STREAM, Programme
from operators.core.children import child
from operators.core.plan import Manifest
from operators.core.times import rfc3339

OUTPUT, SHOWING = "linear", "programme"
FOR_EVER, IDLE = "8760h", "24h"
TTL_SECONDS = 86_400


def build_output(channel: Channel) -> Manifest:
    """The stream that the playout publishes to; it outlives every pause of the playout."""
    return _stream(
        channel,
        names.linear(channel),
        OUTPUT,
        {
            "title": channel.spec.display_name,
            "desiredState": "Live",
            "schedule": {"maxDuration": FOR_EVER, "endAfterIdle": IDLE},
        },
    )


def build_showings(channel: Channel, line: Sequence[Programme], now: float) -> list[Manifest]:
    """Streams of the showings that are on or about to be prepared; names are those of the showings, so that making
    one twice makes it once."""
    slots = {slot.name: slot for slot in channel.spec.programming.slots} if channel.spec.programming else {}
    return [
        _showing(channel, slots[name], began_at)
        for name, began_at in showings(line)
        if prepares_at(slots[name], began_at) <= now < began_at + seconds(slots[name].duration)
    ]


def showings(line: Sequence[Programme]) -> list[tuple[str, float]]:
    """(slot, begin) of every planned showing that has a stream, once each."""
    return list(dict.fromkeys((item.slot, item.began_at) for item in line if item.kind == STREAM))


def prepares_at(slot: Slot, began_at: float) -> float:
    """When the stream of a showing is made."""
    return began_at - (seconds(slot.stream_template.prepare_before) if slot.stream_template else 0.0)


def _showing(channel: Channel, slot: Slot, began_at: float) -> Manifest:
    template = slot.stream_template
    length = seconds(slot.duration)
    return _stream(
        channel,
        names.slot_stream(channel.metadata.name, slot.name, began_at),
        SHOWING,
        {
            "title": template.title if template else slot.name,
            "description": template.description if template else "",
            "schedule": {
                "startAt": rfc3339(began_at),
                "endAt": rfc3339(began_at + length),
                "prepareBefore": template.prepare_before if template else "5m",
            },
            "ttlSecondsAfterEnded": max(TTL_SECONDS, int(length) + TTL_SECONDS),
        },
    )


def _stream(channel: Channel, name: str, component: str, spec: dict[str, Any]) -> Manifest:
    return child(
        channel,
        api_version=API_VERSION,
        kind="LiveStream",
        name=name,
        component=component,
        spec={"channel": {"name": channel.metadata.name}, **spec},
    )
