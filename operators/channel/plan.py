"""plan(...) of a Channel."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.api import Channel, LiveStream
from operators.api.base import seconds
from operators.api.channel import ChannelPhase, DeletionPolicy
from operators.api.livestream_status import StreamPhase
from operators.core.children import child
from operators.core.conditions import Fact, merge, summary
from operators.core.plan import Event, Manifest, ObjectRef, Plan
from operators.core.platform import Platform

KEY = "stream-key"
_ON_AIR = (StreamPhase.LIVE, StreamPhase.INTERRUPTED)
_OVER = (StreamPhase.ENDED, StreamPhase.FAILED)


@dataclass(frozen=True, slots=True)
class ChannelObserved:
    """The world around one Channel; `key` is the stored stream key or a fresh one."""

    key: str
    streams: tuple[LiveStream, ...] = ()
    children: Mapping[tuple[str, str], Manifest] = field(default_factory=dict)


def key_secret_name(channel_name: str) -> str:
    """Secret with the channel's stream key."""
    return f"{channel_name}-channel-key"


def plan(channel: Channel, observed: ChannelObserved, platform: Platform, now: float) -> Plan:
    """The plan; see `Plan`."""
    active = [stream for stream in observed.streams if stream.status.phase not in _OVER]
    on_air = [stream for stream in active if stream.status.phase in _ON_AIR]
    desired = (_secret(channel, observed.key), _config_map(channel))
    if channel.deleting:
        return _deletion(channel, active, now)
    facts = _facts(channel, observed, desired)
    phase = _phase(channel, active, on_air)
    return Plan(
        applies=desired,
        status=_status(channel, facts, phase, active, platform, now),
        events=_transitions(channel, phase),
    )


def _deletion(channel: Channel, active: list[LiveStream], now: float) -> Plan:
    """Wait for the streams to end, or end them when the policy says so."""
    if not active:
        return Plan(release=True)
    if channel.spec.deletion_policy == DeletionPolicy.DELETE:
        refs = [ObjectRef("haat.dev/v1alpha1", "LiveStream", s.metadata.namespace, s.metadata.name) for s in active]
        return Plan(deletes=tuple(refs), requeue_after=1.0)
    names = ", ".join(stream.metadata.name for stream in active)
    fact = Fact("Ready", False, "StreamsActive", f"Deletion waits until these streams end: {names}.")
    merged = merge([fact], channel.status.conditions, generation=channel.metadata.generation, now=now)
    return Plan(
        status={"observedGeneration": channel.metadata.generation, "conditions": merged, "phase": "Terminating"},
        requeue_after=30.0,
    )


def _secret(channel: Channel, key: str) -> Manifest:
    return child(
        channel,
        api_version="v1",
        kind="Secret",
        name=key_secret_name(channel.metadata.name),
        component="channel-key",
        type="Opaque",
        data={KEY: base64.b64encode(key.encode()).decode()},
    )


def _config_map(channel: Channel) -> Manifest:
    chat = channel.spec.interactions.chat
    policy = {
        "channel": channel.id,
        "slug": channel.spec.slug,
        "display_name": channel.spec.display_name,
        "chat": {
            "enabled": chat.enabled,
            "slow_mode_seconds": seconds(chat.slow_mode),
            "max_length": chat.max_length,
        },
    }
    return child(
        channel,
        api_version="v1",
        kind="ConfigMap",
        name=f"{channel.metadata.name}-channel",
        component="channel-config",
        data={"channel.json": json.dumps(policy, indent=1, sort_keys=True)},
    )


def _facts(channel: Channel, observed: ChannelObserved, desired: tuple[Manifest, ...]) -> list[Fact]:
    missing = [item for item in desired if (item["kind"], item["metadata"]["name"]) not in observed.children]
    kinds = {item["kind"] for item in missing}
    accepted = (
        Fact("Accepted", False, "Suspended", "spec.suspended is set.")
        if channel.spec.suspended
        else Fact("Accepted", True, "Accepted")
    )
    facts = [
        accepted,
        Fact("KeysReady", "Secret" not in kinds, "Stored" if "Secret" not in kinds else "Creating"),
        Fact("Provisioned", not missing, "Creating" if missing else "ChildrenExist"),
    ]
    on_air = any(stream.status.phase in _ON_AIR for stream in observed.streams)
    summarised = summary(facts, needed=("Accepted", "KeysReady", "Provisioned"))
    return [*facts, Fact("OnAir", on_air, "StreamLive" if on_air else "NoStreamLive"), summarised]


def _phase(channel: Channel, active: list[LiveStream], on_air: list[LiveStream]) -> str:
    if channel.spec.suspended:
        return ChannelPhase.SUSPENDED
    if on_air:
        return ChannelPhase.ON_AIR
    return ChannelPhase.STANDBY if active else ChannelPhase.OFFLINE


def _status(
    channel: Channel, facts: list[Fact], phase: str, active: list[LiveStream], platform: Platform, now: float
) -> dict[str, Any]:
    generation = channel.metadata.generation
    streams = []
    for stream in sorted(active, key=lambda item: item.metadata.name)[:100]:
        entry = {"name": stream.metadata.name, "phase": str(stream.status.phase or StreamPhase.PENDING)}
        if stream.status.started_at:
            entry["startedAt"] = stream.status.started_at
        streams.append(entry)
    return {
        "observedGeneration": generation,
        "conditions": merge(facts, channel.status.conditions, generation=generation, now=now),
        "phase": phase,
        "ingest": {
            "urls": [{"protocol": "RTMP", "url": platform.rtmp_url}],
            "keySecret": key_secret_name(channel.metadata.name),
        },
        "activeStreams": streams,
        "streams": len(streams),
    }


def _transitions(channel: Channel, phase: str) -> tuple[Event, ...]:
    before = channel.status.phase
    return () if phase == before else (Event("Normal", f"Phase{phase}", f"{before or 'New'} -> {phase}"),)
