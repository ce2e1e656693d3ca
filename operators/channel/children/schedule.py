"""ConfigMap `<name>-schedule`: schedule.json, the resolved programme that the playout follows by itself."""

import json
from collections.abc import Sequence
from typing import Any

from operators.api import Channel
from operators.channel import names
from operators.channel.programme import Programme, Window
from operators.core.children import child
from operators.core.plan import Manifest

SCHEDULE_FILE = "schedule.json"
MOST_BYTES = 900_000
"""A ConfigMap may have a mebibyte; of a longer programme the end is cut off, and comes with a later window."""


def build_schedule(channel: Channel, line: Sequence[Programme], span: Window) -> Manifest:
    """The ConfigMap with schedule.json."""
    return child(
        channel,
        api_version="v1",
        kind="ConfigMap",
        name=names.schedule(channel),
        component="schedule",
        data={SCHEDULE_FILE: json.dumps(document(channel, line, span), indent=1, sort_keys=True)},
    )


def document(channel: Channel, line: Sequence[Programme], span: Window) -> dict[str, Any]:
    """schedule.json as the contracts page describes it."""
    programmes, size = [], 0
    for item in line:
        entry = _entry(item)
        size += len(json.dumps(entry, indent=1)) + 16
        if size > MOST_BYTES:
            break
        programmes.append(entry)
    programming = channel.spec.programming
    return {
        "channel": channel.id,
        "timezone": programming.timezone if programming else "UTC",
        "slate": (programming.slate_uri if programming else None) or "",
        "planned_from_ms": _ms(span.begins),
        "planned_until_ms": programmes[-1]["ends_at_ms"] if programmes else _ms(span.begins),
        "programmes": programmes,
    }


def _entry(item: Programme) -> dict[str, Any]:
    return {
        "slot": item.slot,
        "kind": item.kind,
        "source": item.source,
        "starts_at_ms": _ms(item.starts_at),
        "ends_at_ms": _ms(item.ends_at),
        "began_at_ms": _ms(item.began_at),
    }


def _ms(moment: float) -> int:
    return round(moment * 1000)
