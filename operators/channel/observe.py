"""What a Channel's reconcile looks at, as one frozen value.

Heartbeats and probes come from elsewhere and may be old, partial or garbage: what cannot be read counts as not there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.api import Channel, LiveStream
from operators.api.base import API_VERSION
from operators.api.livestream_status import StreamPhase
from operators.channel.jwk import Jwk
from operators.core.capabilities import Capabilities
from operators.core.plan import Manifest

BEAT_FRESH_SECONDS = 5.0
PROBE_FRESH_SECONDS = 60.0
ON_AIR = (StreamPhase.LIVE, StreamPhase.INTERRUPTED)
OVER = (StreamPhase.ENDED, StreamPhase.FAILED)


@dataclass(frozen=True, slots=True)
class CdnProbe:
    """What the edge found out about a provider, and when (Unix seconds)."""

    healthy: bool
    at: float


@dataclass(frozen=True, slots=True)
class PlayoutBeat:
    """What the playout shows: slot (empty for what fills a gap), source, since when, and the slot that fails."""

    slot: str
    source: str
    since: float
    failing: str = ""


@dataclass(frozen=True, slots=True)
class Fresh:
    """Random material for keys that may have to be made."""

    stream_key: str
    playback_keys: tuple[Jwk, ...] = ()


@dataclass(frozen=True, slots=True)
class ChannelObserved:
    """The world around one Channel.

    `streams` are all of the channel, oldest first; `rivals` are ids of older channels with the same slug; `children`
    are by (kind, name), with the channel's own Secrets and LiveStreams among them; `given_secret` is the owner's own.
    """

    fresh: Fresh
    streams: tuple[LiveStream, ...] = ()
    rivals: tuple[str, ...] = ()
    children: Mapping[tuple[str, str], Manifest] = field(default_factory=dict)
    given_secret: Manifest | None = None
    capabilities: Capabilities = field(default_factory=Capabilities)
    cdn_probes: Mapping[str, CdnProbe] = field(default_factory=dict)
    playout: PlayoutBeat | None = None
    pods: tuple[Manifest, ...] = ()

    def child(self, kind: str, name: str) -> Manifest | None:
        """A live child by kind and name."""
        return self.children.get((kind, name))

    @property
    def active(self) -> list[LiveStream]:
        """Streams that have not ended."""
        return [stream for stream in self.streams if stream.status.phase not in OVER]

    @property
    def on_air(self) -> list[LiveStream]:
        """Streams that people watch, also while their publisher is away for a moment."""
        return [stream for stream in self.streams if stream.status.phase in ON_AIR]


def owned_by(stream: LiveStream, channel: Channel) -> bool:
    """Whether the channel itself made this stream."""
    return any(reference.uid == channel.metadata.uid for reference in stream.metadata.owner_references)


def as_manifest(stream: LiveStream) -> Manifest:
    """A stream as the executor compares it with what is wanted."""
    metadata = stream.metadata
    owners = [
        {
            "apiVersion": API_VERSION,
            "kind": item.kind,
            "name": item.name,
            "uid": item.uid,
            "controller": item.controller,
            "blockOwnerDeletion": False,
        }
        for item in metadata.owner_references
    ]
    return {
        "apiVersion": API_VERSION,
        "kind": stream.kind_name,
        "metadata": {
            "name": metadata.name,
            "namespace": metadata.namespace,
            "labels": metadata.labels,
            "annotations": metadata.annotations,
            "ownerReferences": owners,
        },
        "spec": stream.spec.model_dump(by_alias=True, mode="json", exclude_none=True),
    }


def cdn_probes(entries: Mapping[str, str], now: float) -> dict[str, CdnProbe]:
    """Fresh results by provider among the fields of `haat:cdn:health`."""
    found = {}
    for provider, text in entries.items():
        body = _object(text)
        at = _moment(body, "ts_ms")
        if isinstance(body.get("healthy"), bool) and now - at <= PROBE_FRESH_SECONDS:
            found[provider] = CdnProbe(body["healthy"], at)
    return found


def playout_beat(entries: Mapping[str, str], channel: str, now: float) -> PlayoutBeat | None:
    """The newest fresh beat of this channel's playout among the fields of `haat:heartbeats`."""
    prefix, found = f"playout/{channel}/", []
    for name, text in entries.items():
        body = _object(text) if name.startswith(prefix) else {}
        at = _moment(body, "ts_ms")
        if body and now - at <= BEAT_FRESH_SECONDS:
            found.append((at, body))
    if not found:
        return None
    body = max(found, key=lambda item: item[0])[1]
    return PlayoutBeat(
        slot=str(body.get("slot") or "")[:30],
        source=str(body.get("source") or "")[:2048],
        since=_moment(body, "since_ms"),
        failing=str(body.get("failing") or "")[:30],
    )


def _object(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _moment(body: Mapping[str, Any], name: str) -> float:
    value = body.get(name)
    return value / 1000 if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
