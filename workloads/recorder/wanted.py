"""What the operators publish of a stream, as far as a recording needs it; free of IO."""

import json
from dataclasses import dataclass

from workloads.common.origins import parse_origin
from workloads.recorder import layout

STREAMS_KEY = "haat:streams"
ON_AIR = frozenset(("Live", "Interrupted", "Draining"))


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stream of the directory. `origin` is empty while it has none."""

    stream: str
    uid: str
    title: str
    on_air: bool
    origin: str
    enabled: bool
    retention_seconds: float
    dvr_window_seconds: float
    highlights: bool


def parse_wanted(stream: str, raw: str) -> Wanted | None:
    """The stream of a directory entry; None for one that nobody could record."""
    try:
        entry = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(entry, dict) or not layout.STREAM.fullmatch(stream):
        return None
    recording = entry.get("recording")
    recording = recording if isinstance(recording, dict) else {}
    return Wanted(
        stream=stream,
        uid=str(entry.get("uid", "")),
        title=str(entry.get("title", "")),
        on_air=entry.get("phase") in ON_AIR,
        origin=parse_origin(raw),
        enabled=recording.get("enabled") is True,
        retention_seconds=_seconds(recording.get("retention_seconds"), 0.0),
        dvr_window_seconds=_seconds(recording.get("dvr_window_seconds"), 300.0),
        highlights=recording.get("highlights") is True,
    )


def _seconds(value: object, default: float) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else default
