"""The two APIs of Event share one collection, stored as core/v1; these are the conversions at the edge."""

from __future__ import annotations

from typing import Any

_NEW_TO_OLD = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_OLD_TO_NEW = {old: new for new, old in _NEW_TO_OLD.items()}


def to_core(obj: dict[str, Any]) -> dict[str, Any]:
    """events.k8s.io/v1 -> v1."""
    renamed = {_NEW_TO_OLD.get(key, key): value for key, value in obj.items()}
    return renamed | {"apiVersion": "v1", "involvedObject": renamed.get("involvedObject") or {}}


def from_core(obj: dict[str, Any]) -> dict[str, Any]:
    """v1 -> events.k8s.io/v1."""
    return {_OLD_TO_NEW.get(key, key): value for key, value in obj.items()} | {"apiVersion": "events.k8s.io/v1"}
