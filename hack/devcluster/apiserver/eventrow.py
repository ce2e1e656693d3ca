"""The row of an Event: seen when, about what, from whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Obj = dict[str, Any]


def event(obj: Obj, age: Callable[[str | None], str]) -> list[Any]:
    """The row of an event."""
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    series = obj.get("series") or {}
    last = series.get("lastObservedTime") or obj.get("lastTimestamp") or first
    target = obj.get("involvedObject") or {}
    source = obj.get("source") or {}
    where = source.get("component") or obj.get("reportingComponent") or ""
    who = f"{where}, {source['host']}" if source.get("host") else where
    count = series.get("count") or obj.get("count") or 1
    row = [
        age(last),
        obj.get("type"),
        obj.get("reason"),
        f"{str(target.get('kind', '')).lower()}/{target.get('name', '')}",
    ]
    return [
        *row,
        target.get("fieldPath", ""),
        who,
        str(obj.get("message", "")).strip(),
        age(first),
        count,
        obj["metadata"]["name"],
    ]
