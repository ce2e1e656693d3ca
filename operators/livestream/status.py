"""Conditions, phase and the rest of a LiveStream's status, as pure functions of what was observed.

Ready means playable: a stream that cannot be watched is never Ready, whatever its pods say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from operators.api import LiveStream
from operators.api.base import seconds
from operators.api.livestream import DesiredState
from operators.api.livestream_status import StreamPhase
from operators.core.conditions import Fact, summary
from operators.core.plan import Manifest
from operators.core.times import epoch, epoch_or_none, rfc3339
from operators.livestream import names
from operators.livestream.observe import StreamObserved

NEEDED = ("Accepted", "Provisioned", "IngestReady", "ChatReady", "Receiving", "Playable")


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Where the broadcast stands in time; every member is a Unix time or None."""

    started_at: float | None
    interrupted_at: float | None
    ended_at: float | None
    end_reason: str


def lifecycle(stream: LiveStream, observed: StreamObserved, accepted: Fact, now: float) -> Lifecycle:
    """Start, interruption and end of the broadcast, carried on from the last status."""
    status, beat = stream.status, observed.transcoder
    playing = beat is not None and beat.receiving and beat.playable
    started = epoch_or_none(status.started_at) or (now if playing else None)
    interrupted = None
    if started is not None and not (beat and beat.receiving):
        interrupted = epoch_or_none(status.interrupted_at) or now
    ended = epoch_or_none(status.ended_at)
    reason = status.end_reason
    if ended is None:
        suspended = started is not None and accepted.reason == "ChannelSuspended"
        reason = "ChannelSuspended" if suspended else _end_reason(stream, started, interrupted, now)
        ended = now if reason else None
    return Lifecycle(started, interrupted, ended, reason)


def _end_reason(stream: LiveStream, started: float | None, interrupted: float | None, now: float) -> str:
    schedule = stream.spec.schedule
    if stream.spec.desired_state == DesiredState.ENDED:
        return "Requested"
    if schedule.end_at and now >= epoch(schedule.end_at):
        return "EndAtReached"
    if started is not None and now - started >= seconds(schedule.max_duration):
        return "MaxDurationReached"
    if interrupted is not None and now - interrupted >= seconds(schedule.end_after_idle):
        return "Idle"
    return ""


def facts(
    stream: LiveStream, observed: StreamObserved, desired: Sequence[Manifest], accepted: Fact, life: Lifecycle
) -> list[Fact]:
    """All conditions but Ready, as they are now."""
    beat = observed.transcoder
    ended = life.ended_at is not None
    result = [
        accepted,
        _provisioned(observed, desired, accepted),
        _available(observed, names.transcoder(stream), "IngestReady", "the transcoder"),
        _available(observed, names.fanout(stream), "ChatReady", "the room"),
        Fact("Receiving", True, "Publishing")
        if beat and beat.receiving and not ended
        else Fact("Receiving", False, "Ended" if ended else "NoPublisher", "No media arrives from a publisher."),
        Fact("Playable", True, "SegmentsAvailable")
        if beat and beat.playable and not ended
        else Fact("Playable", False, "Ended" if ended else "NoSegments", "There is nothing to play yet."),
    ]
    if stream.spec.models:
        ready = observed.models_ready
        message = "" if ready else "Ray Serve is not ready; the page falls back to popularity."
        result.append(Fact("ModelsReady", ready, "Serving" if ready else "NotServing", message))
    if stream.spec.paused:
        result.append(Fact("Paused", True, "Paused", "spec.paused is set: children are left as they are."))
    return [*result, summary(result, needed=NEEDED)]


def _provisioned(observed: StreamObserved, desired: Sequence[Manifest], accepted: Fact) -> Fact:
    if accepted.status is not True:
        return Fact("Provisioned", False, accepted.reason, accepted.message)
    missing = [item for item in desired if not observed.child(item["kind"], item["metadata"]["name"])]
    if missing:
        first = missing[0]
        return Fact("Provisioned", False, "Creating", f"{first['kind']} {first['metadata']['name']} is being created.")
    return Fact("Provisioned", True, "ChildrenExist")


def _available(observed: StreamObserved, name: str, condition: str, what: str) -> Fact:
    deployment = observed.child("Deployment", name)
    ready = ((deployment or {}).get("status") or {}).get("availableReplicas") or 0
    if ready >= 1:
        return Fact(condition, True, "PodsReady")
    return Fact(condition, False, "PodsNotReady", f"No pod of {what} is ready (Deployment {name}).")


def phase(stream: LiveStream, observed: StreamObserved, conditions: Sequence[Fact], life: Lifecycle, now: float) -> str:
    """The one word for people."""
    true = {fact.type for fact in conditions if fact.status}
    if life.ended_at is not None:
        return StreamPhase.ENDED if drained(stream, observed, life, now) else StreamPhase.DRAINING
    if "Accepted" not in true and life.started_at is None:
        return StreamPhase.PENDING
    if not_yet_due(stream, now):
        return StreamPhase.SCHEDULED
    if {"Receiving", "Playable"} <= true and life.started_at is not None:
        return StreamPhase.LIVE
    if life.interrupted_at is not None:
        return StreamPhase.INTERRUPTED
    if {"Provisioned", "IngestReady", "ChatReady"} <= true:
        return StreamPhase.STANDBY
    return StreamPhase.PROVISIONING


def not_yet_due(stream: LiveStream, now: float) -> bool:
    """Whether the stream still waits for its time to be prepared."""
    schedule = stream.spec.schedule
    return bool(schedule.start_at) and now < epoch(schedule.start_at or "") - seconds(schedule.prepare_before)


def drained(stream: LiveStream, observed: StreamObserved, life: Lifecycle, now: float) -> bool:
    """Whether the room of an ended stream may close: everybody left, or the drain time is over."""
    if life.ended_at is None:
        return False
    waited = now - life.ended_at
    return waited >= seconds(stream.spec.fanout.drain) or (waited >= 10 and observed.room.connections == 0)


def document(
    stream: LiveStream,
    observed: StreamObserved,
    *,
    life: Lifecycle,
    phase_name: str,
    conditions: list[dict[str, Any]],
    urls: dict[str, str],
    floor: int,
    children: dict[str, int],
) -> dict[str, Any]:
    """The status as it is applied; members without a value are left out."""
    beat = observed.transcoder
    ready = next(item for item in conditions if item["type"] == "Ready")
    body: dict[str, Any] = {
        "observedGeneration": stream.metadata.generation,
        "conditions": conditions,
        "phase": phase_name,
        "reason": "" if ready["status"] == "True" else ready["reason"],
        "urls": urls,
        "keySecret": names.key_secret(stream),
        "fanout": fanout_status(stream, observed, floor),
        "viewers": reported_viewers(stream.status.viewers, observed.room.viewers),
        "children": children,
        "activeSales": sorted(sale.metadata.name for sale in observed.sales),
        "endReason": life.end_reason,
    }
    body["peakViewers"] = max(stream.status.peak_viewers, body["viewers"])
    if beat and beat.receiving:
        kept = stream.status.ingest
        kbps = beat.bitrate_kbps
        if kept and kept.bitrate_kbps and abs(kept.bitrate_kbps - kbps) < 0.25 * kept.bitrate_kbps:
            kbps = kept.bitrate_kbps
        body["ingest"] = {"protocol": beat.protocol, "bitrateKbps": kbps}
        if beat.since:
            body["ingest"]["since"] = rfc3339(beat.since)
    if beat:
        rungs = [{"name": name, "width": width, "height": height} for name, width, height in beat.rungs]
        body["transcode"] = {"worker": beat.pod, "rungs": rungs}
    moments = {"startedAt": life.started_at, "interruptedAt": life.interrupted_at, "endedAt": life.ended_at}
    return body | {name: rfc3339(value) for name, value in moments.items() if value is not None}


def fanout_status(stream: LiveStream, observed: StreamObserved, floor: int) -> dict[str, int]:
    """Replicas and sockets of the room."""
    deployment = observed.child("Deployment", names.fanout(stream)) or {}
    live = deployment.get("status") or {}
    before = stream.status.fanout.connections if stream.status.fanout else 0
    return {
        "replicas": int((deployment.get("spec") or {}).get("replicas") or 0),
        "readyReplicas": int(live.get("readyReplicas") or 0),
        "connections": reported_viewers(before, observed.room.connections),
        "floor": floor,
    }


def reported_viewers(before: int, measured: int) -> int:
    """The count that a status shows: it moves only by a tenth, so that etcd is no metrics store."""
    return measured if measured == 0 or before == 0 or abs(measured - before) * 10 >= before else before
