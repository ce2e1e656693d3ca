"""What a LiveStream's reconcile looks at, as one frozen value.

Heartbeats come from pods and may be old, partial or garbage: a beat that cannot be read counts as no beat.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.api import Channel, FlashSale
from operators.core.capabilities import Capabilities
from operators.core.plan import Manifest
from operators.core.pooling import Allocation, Worker
from operators.core.scaling import Sample

BEAT_FRESH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class StreamKeys:
    """Secrets to publish with: the stream's own, and its channel's (none while it has none, two while it rotates)."""

    stream_key: str
    channel_keys: tuple[str, ...] = ()

    def accepted(self) -> list[str]:
        """Every key that may publish to the stream, its own first."""
        return [key for key in (self.stream_key, *self.channel_keys) if key]


@dataclass(frozen=True, slots=True)
class Rung:
    """One rendition as the transcoder reports it."""

    name: str
    width: int = 0
    height: int = 0
    fps: int = 0
    kbps: int = 0
    state: str = ""


@dataclass(frozen=True, slots=True)
class TranscoderBeat:
    """What the transcoder said last. `speed` is media seconds a second; 0 while unknown."""

    pod: str
    at: float
    receiving: bool
    playable: bool
    protocol: str = ""
    bitrate_kbps: int = 0
    since: float | None = None
    last_media: float | None = None
    speed: float = 0.0
    rungs: tuple[Rung, ...] = ()


@dataclass(frozen=True, slots=True)
class RoomBeat:
    """All fan-out pods of a room together."""

    pods: int = 0
    connections: int = 0
    viewers: int = 0
    by_pod: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProbeBeat:
    """How late a viewer is who follows the playlists, in milliseconds."""

    p50: int
    p95: int


@dataclass(frozen=True, slots=True)
class StreamObserved:
    """The world around one LiveStream."""

    keys: StreamKeys
    channel: Channel | None = None
    siblings: tuple[str, ...] = ()
    sibling_millicores: int = 0
    seconds_today: float = 0.0
    allocation: Allocation | None = None
    worker: Worker | None = None
    host: Worker | None = None
    capabilities: Capabilities = field(default_factory=Capabilities)
    knocked_at: float = 0.0
    holds_channel_key: bool = False
    sales: tuple[FlashSale, ...] = ()
    children: Mapping[tuple[str, str], Manifest] = field(default_factory=dict)
    catalog: str | None = None
    transcoder: TranscoderBeat | None = None
    room: RoomBeat = field(default_factory=RoomBeat)
    probe: ProbeBeat | None = None
    restreams: Mapping[str, str] | None = None
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
    beats = dict(_beats(entries, f"fanout/{stream}/", now))
    return RoomBeat(
        pods=len(beats),
        connections=sum(_number(body, "connections") for body in beats.values()),
        viewers=sum(_number(body, "viewers") for body in beats.values()),
        by_pod={pod: _number(body, "connections") for pod, body in beats.items()},
    )


def probe_beat(entries: Mapping[str, str], stream: str, now: float) -> ProbeBeat | None:
    """What a probe measured last; None while none watches the stream."""
    for _, body in _beats(entries, f"probe/{stream}/", now):
        return ProbeBeat(_number(body, "latency_p50_ms"), _number(body, "latency_p95_ms"))
    return None


def restream_beat(entries: Mapping[str, str], stream: str, now: float) -> dict[str, str] | None:
    """Target -> what it is at (`Live`, or a state with its reason); None while no pod tells."""
    for _, body in _beats(entries, f"restream/{stream}/", now):
        targets = body.get("targets")
        if not isinstance(targets, dict):
            return None
        found = {}
        for name, item in targets.items():
            state, reason = (item.get("state"), item.get("reason")) if isinstance(item, dict) else ("", "")
            found[str(name)] = f"{state}: {reason}" if reason else str(state)
        return found
    return None


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
    rungs, speed = body.get("rungs"), body.get("speed")
    return TranscoderBeat(
        pod=pod,
        at=_number(body, "ts_ms") / 1000,
        receiving=body.get("receiving") is True,
        playable=body.get("playable") is True,
        protocol=str(body.get("protocol") or ""),
        bitrate_kbps=_number(body, "bitrate_kbps"),
        since=_number(body, "since_ms") / 1000 or None,
        last_media=_number(body, "last_media_ms") / 1000 or None,
        speed=float(speed) if isinstance(speed, int | float) else 0.0,
        rungs=tuple(
            Rung(
                name=str(name),
                width=_number(rung, "width"),
                height=_number(rung, "height"),
                fps=_number(rung, "fps"),
                kbps=_number(rung, "kbps"),
                state=str(rung.get("state") or ""),
            )
            for name, rung in (rungs.items() if isinstance(rungs, dict) else ())
            if isinstance(rung, dict)
        ),
    )


def _number(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    return int(value) if isinstance(value, int | float) and value >= 0 else 0
