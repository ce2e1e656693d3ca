"""Conditions, phase and the rest of a Channel's status, as pure functions of what was observed."""

from collections.abc import Sequence
from typing import Any

from operators.api import Channel
from operators.api.channel import ChannelPhase, IngestUrl, Mode, Protocol
from operators.api.livestream_status import StreamPhase
from operators.channel import names
from operators.channel.children.config import page
from operators.channel.children.routes import routed
from operators.channel.delivery import cdn_health, cdn_status
from operators.channel.keys import STREAM_KEY, text_of
from operators.channel.observe import ChannelObserved
from operators.channel.programme import current, following
from operators.channel.usage import within_quota
from operators.channel.view import View, key_secret_of, present_stream
from operators.core.conditions import Fact, summary
from operators.core.health import trouble
from operators.core.plan import Manifest
from operators.core.platform import Platform
from operators.core.times import rfc3339

NEEDED = ("Accepted", "KeysReady", "Routed", "Provisioned")
PASSING = ("PodDisruptionBudget", "LiveStream")
"""Kinds that come and go with the programme; the others make the channel."""
DEGRADING = ("CDNHealthy", "WithinQuota", "ProgrammingReady")


def facts(
    channel: Channel, observed: ChannelObserved, view: View, platform: Platform, desired: Sequence[Manifest]
) -> list[Fact]:
    """All conditions, `Ready` last, as they are now."""
    on_air = observed.on_air
    missing = [
        item
        for item in desired
        if item["kind"] not in PASSING and not observed.child(item["kind"], item["metadata"]["name"])
    ]
    first = f"{missing[0]['kind']} {missing[0]['metadata']['name']} is being created." if missing else ""
    route = observed.child("HTTPRoute", names.route(channel)) or observed.child("Ingress", names.route(channel))
    result = [
        view.accepted,
        _keys(channel, observed, view),
        routed(channel, platform, observed.capabilities, route),
        within_quota(channel, view.used, observed.active),
        Fact("Provisioned", not missing, "Creating" if missing else "ChildrenExist", first),
        Fact("OnAir", bool(on_air), "StreamLive" if on_air else "NoStreamLive"),
    ]
    health = cdn_health(channel, observed.cdn_probes)
    if health is not None:
        result.append(health)
    needed: tuple[str, ...] = NEEDED
    if channel.spec.mode == Mode.LINEAR:
        result.append(_programming(channel, observed, view))
        needed = (*NEEDED, "ProgrammingReady")
    return [*result, summary(result, needed=needed)]


def _keys(channel: Channel, observed: ChannelObserved, view: View) -> Fact:
    given = channel.spec.ingest.key_secret_ref
    if given is not None:
        if observed.given_secret is None:
            message = f"Secret {given.name} (ingest.keySecretRef) does not exist in this namespace."
            return Fact("KeysReady", False, "KeySecretNotFound", message)
        if not text_of(observed.given_secret, STREAM_KEY):
            return Fact("KeysReady", False, "KeyMissing", f"Secret {given.name} has no key `{STREAM_KEY}`.")
    elif observed.child("Secret", names.key_secret(channel.metadata.name)) is None:
        return Fact("KeysReady", False, "Creating", "The stream key is being made.")
    if view.playback_keys and observed.child("Secret", names.playback_secret(channel)) is None:
        return Fact("KeysReady", False, "Creating", "The keys that sign playback tokens are being made.")
    if view.keys and view.keys.upcoming:
        name = names.next_key_secret(channel.metadata.name)
        return Fact("KeysReady", True, "Rotating", f"The key of Secret {name} works too, and follows soon.")
    return Fact("KeysReady", True, "Stored")


def _programming(channel: Channel, observed: ChannelObserved, view: View) -> Fact:
    """Whether the playout shows what the programme says."""
    if view.accepted.status is not True:
        return Fact("ProgrammingReady", False, view.accepted.reason, view.accepted.message)
    name, beat = names.playout(channel), observed.playout
    if beat is None:
        found = trouble(observed.child("Deployment", name), observed.pods, "playout")
        if found:
            return Fact("ProgrammingReady", False, *found)
        return Fact("ProgrammingReady", False, "PlayoutNotReady", f"No playout reports (Deployment {name}).")
    if beat.failing:
        message = f"Slot {beat.failing} cannot be played; the slate is shown and the source is tried again."
        return Fact("ProgrammingReady", False, "SourceFailing", message)
    slots = channel.spec.programming.slots if channel.spec.programming else ()
    stored = [slot.name for slot in slots if (slot.vod_uri or "").startswith("s3://")]
    if stored:
        message = f"Slot {stored[0]}: the playout reads http, https and file; give s3 objects by a signed https URL."
        return Fact("ProgrammingReady", False, "SourceUnsupported", message)
    return Fact("ProgrammingReady", True, "OnProgramme")


def phase(channel: Channel, observed: ChannelObserved, conditions: Sequence[Fact]) -> ChannelPhase:
    """The one word for people."""
    if channel.spec.suspended:
        return ChannelPhase.SUSPENDED
    if observed.on_air:
        poor = any(fact.type in DEGRADING and fact.status is False for fact in conditions)
        return ChannelPhase.DEGRADED if poor else ChannelPhase.ON_AIR
    return ChannelPhase.STANDBY if observed.active else ChannelPhase.OFFLINE


def document(
    channel: Channel,
    observed: ChannelObserved,
    view: View,
    platform: Platform,
    *,
    conditions: list[dict[str, Any]],
    phase_name: str,
    now: float,
) -> dict[str, Any]:
    """The status as it is applied; members without a value are left out."""
    streams = _active_streams(observed)
    body: dict[str, Any] = {
        "observedGeneration": channel.metadata.generation,
        "conditions": conditions,
        "phase": phase_name,
        "ingest": _ingest(channel, observed, view, platform),
        "playback": _playback(channel, observed, platform),
        "activeStreams": streams,
        "streams": len(streams),
        "cdns": [
            item.model_dump(by_alias=True, exclude_none=True) for item in cdn_status(channel, observed.cdn_probes)
        ],
        "usage": view.used.model_dump(by_alias=True),
    }
    programming = _programme_status(observed, view, now)
    return body | ({"programming": programming} if programming else {})


def _active_streams(observed: ChannelObserved) -> list[dict[str, str]]:
    result = []
    for stream in sorted(observed.active, key=lambda item: item.metadata.name)[:100]:
        entry = {"name": stream.metadata.name, "phase": str(stream.status.phase or StreamPhase.PENDING)}
        if stream.status.started_at:
            entry["startedAt"] = stream.status.started_at
        result.append(entry)
    return result


def _ingest(channel: Channel, observed: ChannelObserved, view: View, platform: Platform) -> dict[str, Any]:
    known = {
        Protocol.RTMP: platform.rtmp_url,
        Protocol.SRT: platform.srt_url,
        Protocol.WHIP: platform.whip_url,
    }
    allowed = [item for item in Protocol if item in channel.spec.ingest.protocols and known[item]]
    body: dict[str, Any] = {
        "urls": [IngestUrl(protocol=item, url=known[item]).model_dump(by_alias=True, mode="json") for item in allowed],
        "keySecret": key_secret_of(channel),
    }
    given = (observed.given_secret or {}).get("metadata") or {}
    if version := given.get("resourceVersion"):
        body["keyVersion"] = str(version)
    if view.keys:
        body["keyRotatedAt"] = rfc3339(view.keys.rotated_at)
        body["rotateSeen"] = view.keys.rotate_seen
        if view.keys.upcoming:
            body["nextKeySecret"] = names.next_key_secret(channel.metadata.name)
    return body


def _playback(channel: Channel, observed: ChannelObserved, platform: Platform) -> dict[str, str]:
    stream = present_stream(channel, observed)
    body = {"page": page(channel, platform)}
    if stream is None or stream.status.urls is None:
        return body
    urls = stream.status.urls
    return body | {"hls": urls.hls, "dash": urls.dash, "whep": urls.whep, "chat": urls.chat}


def _programme_status(observed: ChannelObserved, view: View, now: float) -> dict[str, Any] | None:
    if view.span is None or not view.line:
        return None
    body: dict[str, Any] = {"plannedUntil": rfc3339(view.line[-1].ends_at)}
    planned, after, beat = current(view.line, now), following(view.line, now), observed.playout
    if beat is not None:
        shown: dict[str, str] = {"slot": beat.slot, "source": beat.source, "startedAt": rfc3339(beat.since)}
        if planned is not None:
            shown["endsAt"] = rfc3339(planned.ends_at)
        body["now"] = shown
    if after is not None:
        body["next"] = {
            "slot": after.slot,
            "source": after.source,
            "startedAt": rfc3339(after.starts_at),
            "endsAt": rfc3339(after.ends_at),
        }
    return body
