"""What a LiveStream's reconcile looks at, as one frozen value.

Heartbeats come from pods and may be old, partial or garbage: a beat that cannot be read counts as no beat.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.api import Channel, FlashSale
from operators.core.plan import Manifest
from operators.core.scaling import Sample

BEAT_FRESH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class StreamKeys:
    """Secrets to publish with: the stream's own, and its channel's (empty while it has none)."""

    stream_key: str
    channel_key: str = ""

    def accepted(self) -> list[str]:
        """Every key that may publish to the stream, its own first."""
        return [key for key in (self.stream_key, self.channel_key) if key]


@dataclass(frozen=True, slots=True)
class TranscoderBeat:
    """What the transcoder said last."""

    pod: str
    at: float
    receiving: bool
    playable: bool
    protocol: str = ""
    bitrate_kbps: int = 0
    since: float | None = None
    rungs: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class RoomBeat:
    """All fan-out pods of a room together."""

    pods: int = 0
    connections: int = 0
    viewers: int = 0


@dataclass(frozen=True, slots=True)
class StreamObserved:
    """The world around one LiveStream."""

    keys: StreamKeys
    channel: Channel | None = None
    siblings: tuple[str, ...] = ()
    holds_channel_key: bool = False
    sales: tuple[FlashSale, ...] = ()
    children: Mapping[tuple[str, str], Manifest] = field(default_factory=dict)
    catalog: str | None = None
    transcoder: TranscoderBeat | None = None
    room: RoomBeat = RoomBeat()
    samples: tuple[Sample, ...] = ()
    last_scaled_at: float = 0.0
    pod_start_seconds: float = 0.0
    pods: tuple[Manifest, ...] = ()
    models_url: str = ""
    models_ready: bool = False

    def child(self, kind: str, name: str) -> Manifest | None:
        """A live child by kind and name."""
        return self.children.get((kind, name))


def transcoder_beat(entries: Mapping[str, str], stream: str, now: float) -> TranscoderBeat | None:
    """The newest fresh beat of this stream's transcoder among the fields of `haat:heartbeats`."""
    beats = [
        _transcoder(pod, body) for pod, body in _beats(entries, f"transcoder/{stream}/", now) if isinstance(body, dict)
    ]
    return max(beats, key=lambda beat: beat.at, default=None)


def room_beat(entries: Mapping[str, str], stream: str, now: float) -> RoomBeat:
    """The sum over the fresh beats of this stream's fan-out pods."""
    bodies = [body for _, body in _beats(entries, f"fanout/{stream}/", now)]
    return RoomBeat(
        pods=len(bodies),
        connections=sum(_number(body, "connections") for body in bodies),
        viewers=sum(_number(body, "viewers") for body in bodies),
    )


def _beats(entries: Mapping[str, str], prefix: str, now: float) -> Iterable[tuple[str, dict[str, Any]]]:
    for name, text in entries.items():
        if not name.startswith(prefix):
            continue
        try:
            body = json.loads(text)
            fresh = now - float(body["ts_ms"]) / 1000 <= BEAT_FRESH_SECONDS
        except (ValueError, KeyError, TypeError):
            continue
        if fresh:
            yield name.removeprefix(prefix), body


def _transcoder(pod: str, body: dict[str, Any]) -> TranscoderBeat:
    since = body.get("since_ms")
    rungs = body.get("rungs")
    return TranscoderBeat(
        pod=pod,
        at=_number(body, "ts_ms") / 1000,
        receiving=body.get("receiving") is True,
        playable=body.get("playable") is True,
        protocol=str(body.get("protocol") or ""),
        bitrate_kbps=_number(body, "bitrate_kbps"),
        since=since / 1000 if isinstance(since, int | float) and since else None,
        rungs=tuple(
            (str(name), _number(rung, "width"), _number(rung, "height"))
            for name, rung in (rungs.items() if isinstance(rungs, dict) else ())
            if isinstance(rung, dict)
        ),
    )


def _number(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    return int(value) if isinstance(value, int | float) and value >= 0 else 0
