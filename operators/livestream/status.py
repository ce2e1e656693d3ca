"""Conditions, phase and the rest of a LiveStream's status, as pure functions of what was observed.

Ready means playable: a stream that cannot be watched is never Ready, whatever its pods say.
"""

from collections.abc import Sequence
from typing import Any

from operators.api import LiveStream
from operators.api.livestream_status import StreamPhase
from operators.core.children import selector
from operators.core.conditions import Fact, summary
from operators.core.health import trouble
from operators.core.plan import Manifest
from operators.core.times import rfc3339
from operators.livestream import names
from operators.livestream.copies import restreaming
from operators.livestream.lifecycle import FAILED_TO_START, Lifecycle, drained, expected_until, not_yet_due
from operators.livestream.observe import StreamObserved, TranscoderBeat
from operators.livestream.placement import pool_name, pooled

KEEPS_UP = 0.95
ESSENTIAL = ("ServiceAccount", "ConfigMap", "Secret", "Service", "Deployment", "Ingress")
"""Without these there is no stream; the others (budgets, policies, autoscalers) come and go while it is on air."""
NEEDED = ("Accepted", "Provisioned", "IngestReady", "ChatReady", "Receiving", "Playable")


def facts(
    stream: LiveStream,
    observed: StreamObserved,
    desired: Sequence[Manifest],
    accepted: Fact,
    life: Lifecycle,
    now: float,
) -> list[Fact]:
    """All conditions, `Ready` last, as they are now."""
    beat = observed.transcoder
    ended = life.ended_at is not None
    result = [
        accepted,
        _capacity(stream, observed, accepted, ended=ended, now=now),
        _provisioned(observed, desired, accepted),
        _hosted(stream, observed)
        if pooled(stream)
        else _available(observed, names.transcoder(stream), "IngestReady", "transcoder"),
        _chat(stream, observed, desired),
        Fact("Receiving", True, "Publishing")
        if beat and beat.receiving and not ended
        else Fact("Receiving", False, "Ended" if ended else "NoPublisher", "No media arrives from a publisher."),
        Fact("Playable", True, "SegmentsAvailable")
        if beat and beat.playable and not ended
        else Fact("Playable", False, "Ended" if ended else "NoSegments", "There is nothing to play yet."),
    ]
    result.append(_slo(beat, ended=ended))
    if stream.spec.models:
        ready = observed.models_ready
        message = "" if ready else "Ray Serve is not ready; the page falls back to popularity."
        result.append(Fact("ModelsReady", ready, "Serving" if ready else "NotServing", message))
    result += restreaming(observed.channel, observed.restreams, on_air=bool(beat and beat.receiving and not ended))
    if stream.spec.paused:
        result.append(Fact("Paused", True, "Paused", "spec.paused is set: children are left as they are."))
    return [*result, summary(result, needed=NEEDED)]


def _provisioned(observed: StreamObserved, desired: Sequence[Manifest], accepted: Fact) -> Fact:
    if accepted.status is not True:
        return Fact("Provisioned", False, accepted.reason, accepted.message)
    needed = [item for item in desired if item["kind"] in ESSENTIAL]
    missing = [item for item in needed if not observed.child(item["kind"], item["metadata"]["name"])]
    if missing:
        first = missing[0]
        return Fact("Provisioned", False, "Creating", f"{first['kind']} {first['metadata']['name']} is being created.")
    return Fact("Provisioned", True, "ChildrenExist")


def _capacity(stream: LiveStream, observed: StreamObserved, accepted: Fact, *, ended: bool, now: float) -> Fact:
    """Whether a machine has room for the transcoder."""
    if ended or accepted.status is not True or not_yet_due(stream, now):
        return Fact("CapacityReserved", False, "Ended" if ended else "NotWanted")
    if pooled(stream):
        return _allocated(stream, observed)
    found = trouble(None, observed.pods, "transcoder")
    if found and found[0] == "Unschedulable":
        return Fact("CapacityReserved", False, *found)
    placed = any(
        pod["spec"].get("nodeName")
        for pod in observed.pods
        if (pod["metadata"].get("labels") or {}).get("app.kubernetes.io/component") == "transcoder"
    )
    return Fact("CapacityReserved", True, "PodScheduled") if placed else Fact("CapacityReserved", False, "NotScheduled")


def _allocated(stream: LiveStream, observed: StreamObserved) -> Fact:
    pool = pool_name(stream)
    if observed.allocation is None:
        message = f"No worker of pool {pool} has room; the pool grows up to its maximum."
        return Fact("CapacityReserved", False, "PoolExhausted", message)
    if observed.worker is None:
        message = f"Worker {observed.allocation.worker} of pool {pool} gives no sign of life; another is looked for."
        return Fact("CapacityReserved", False, "WorkerLost", message)
    return Fact("CapacityReserved", True, "Allocated")


def _hosted(stream: LiveStream, observed: StreamObserved) -> Fact:
    if observed.host is not None:
        return Fact("IngestReady", True, "WorkerReady")
    return Fact("IngestReady", False, "WorkerNotReady", "No worker hosts the stream yet.")


def _available(observed: StreamObserved, name: str, condition: str, component: str) -> Fact:
    deployment = observed.child("Deployment", name)
    ready = ((deployment or {}).get("status") or {}).get("readyReplicas") or 0
    if ready >= 1:
        return Fact(condition, True, "PodsReady")
    found = trouble(deployment, observed.pods, component)
    if found:
        return Fact(condition, False, *found)
    return Fact(condition, False, "PodsNotReady", f"No pod of the {component} is ready (Deployment {name}).")


def _chat(stream: LiveStream, observed: StreamObserved, desired: Sequence[Manifest]) -> Fact:
    name = names.fanout(stream)
    wanted = next((item for item in desired if (item["kind"], item["metadata"]["name"]) == ("Deployment", name)), None)
    if wanted is not None and wanted["spec"].get("replicas") == 0:
        return Fact("ChatReady", True, "WaitsForViewers", "The room opens when the first viewer knocks.")
    return _available(observed, name, "ChatReady", "fanout")


def _slo(beat: TranscoderBeat | None, *, ended: bool) -> Fact:
    """Whether the transcoder keeps up; what viewers see is measured by the edge and told to Prometheus."""
    if ended or beat is None or not beat.receiving or not beat.speed:
        return Fact("WithinSLO", None, "NotMeasured")
    if beat.speed < KEEPS_UP:
        message = f"The transcoder makes {beat.speed:.2f} seconds of media a second; give it more CPU or fewer rungs."
        return Fact("WithinSLO", False, "TranscoderTooSlow", message)
    return Fact("WithinSLO", True, "KeepsUp")


def phase(stream: LiveStream, observed: StreamObserved, conditions: Sequence[Fact], life: Lifecycle, now: float) -> str:
    """The one word for people."""
    true = {fact.type for fact in conditions if fact.status}
    if life.end_reason == FAILED_TO_START:
        return StreamPhase.FAILED
    if life.ended_at is not None:
        return StreamPhase.ENDED if drained(stream, observed, life, now) else StreamPhase.DRAINING
    if "Accepted" not in true and life.started_at is None:
        return StreamPhase.PENDING
    if not_yet_due(stream, now):
        return StreamPhase.SCHEDULED
    if {"Receiving", "Playable"} <= true and life.started_at is not None:
        return StreamPhase.LIVE
    if life.interrupted_at is not None and now < expected_until(stream, life.interrupted_at):
        return StreamPhase.INTERRUPTED
    if {"Provisioned", "IngestReady", "ChatReady"} <= true:
        return StreamPhase.STANDBY
    return StreamPhase.PROVISIONING


def document(
    stream: LiveStream,
    observed: StreamObserved,
    *,
    life: Lifecycle,
    phase_name: str,
    conditions: list[dict[str, Any]],
    urls: dict[str, str],
    fanout: dict[str, Any],
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
        "fanout": fanout,
        "viewers": reported_viewers(stream.status.viewers, observed.room.viewers),
        "children": children,
        "activeSales": sorted(sale.metadata.name for sale in observed.sales),
        "endReason": life.end_reason,
    }
    if latency := _latency(stream, observed):
        body["latencyMs"] = latency
    body["peakViewers"] = max(stream.status.peak_viewers, body["viewers"])
    if beat and beat.receiving:
        kept = stream.status.ingest
        kbps = beat.bitrate_kbps
        if kept and kept.bitrate_kbps and abs(kept.bitrate_kbps - kbps) < 0.25 * kept.bitrate_kbps:
            kbps = kept.bitrate_kbps
        body["ingest"] = {"protocol": beat.protocol, "bitrateKbps": kbps}
        if beat.since:
            body["ingest"]["since"] = rfc3339(beat.since)
    elif beat and beat.last_media and life.started_at is not None:
        body["ingest"] = {"protocol": beat.protocol, "lastFrameAt": rfc3339(beat.last_media)}
    if observed.allocation:
        held = observed.allocation
        body["transcode"] = {"worker": held.worker, "pool": held.pool, "units": held.units}
    if beat:
        body["transcode"] = body.get("transcode", {}) | {"worker": beat.pod, "rungs": _rungs(stream, beat)}
        if stream.spec.transcode.redundancy > 1 and not pooled(stream):
            body["transcode"]["standby"] = other_transcoder(stream, beat.pod)
    moments = {"startedAt": life.started_at, "interruptedAt": life.interrupted_at, "endedAt": life.ended_at}
    return body | {name: rfc3339(value) for name, value in moments.items() if value is not None}


def _rungs(stream: LiveStream, beat: TranscoderBeat) -> list[dict[str, Any]]:
    """Renditions; a bit rate that was reported stays until it has moved by a quarter."""
    known = {rung.name: rung for rung in stream.status.transcode.rungs} if stream.status.transcode else {}
    result = []
    for rung in beat.rungs:
        before = known.get(rung.name)
        kept = before is not None and before.kbps and abs(before.kbps - rung.kbps) < 0.25 * before.kbps
        kbps = before.kbps if before is not None and kept else rung.kbps
        shape = {"width": rung.width, "height": rung.height, "fps": round(rung.fps), "kbps": kbps}
        result.append({"name": rung.name, "state": rung.state} | shape)
    return result


def other_transcoder(stream: LiveStream, pod: str) -> str:
    """The Deployment that stands by while `pod` works."""
    both = (names.transcoder(stream), names.standby(stream))
    return both[0] if pod.startswith(f"{both[1]}-") else both[1]


def children_summary(observed: StreamObserved, desired: Sequence[Manifest]) -> dict[str, int]:
    """How many of the wanted children exist."""
    present = sum(1 for item in desired if observed.child(item["kind"], item["metadata"]["name"]))
    return {"desired": len(desired), "ready": present}


def fanout_status(stream: LiveStream, observed: StreamObserved, *, floor: int, provider: str) -> dict[str, Any]:
    """Replicas and sockets of the room."""
    deployment = observed.child("Deployment", names.fanout(stream)) or {}
    live = deployment.get("status") or {}
    before = stream.status.fanout.connections if stream.status.fanout else 0
    return {
        "replicas": int((deployment.get("spec") or {}).get("replicas") or 0),
        "readyReplicas": int(live.get("readyReplicas") or 0),
        "connections": reported_viewers(before, observed.room.connections),
        "selector": ",".join(f"{key}={value}" for key, value in sorted(selector(stream, "fanout").items())),
        "provider": provider,
        "floor": floor,
    }


def _latency(stream: LiveStream, observed: StreamObserved) -> dict[str, int] | None:
    """What the probe measured, in steps of a tenth; what was known stays while another stream has its turn."""
    before, probe = stream.status.latency_ms, observed.probe
    on_air = observed.transcoder is not None and observed.transcoder.receiving
    if not on_air or (probe is None and before is None):
        return None
    if probe is None:
        return {"p50": before.p50, "p95": before.p95} if before else None
    return {
        "p50": reported_viewers(before.p50 if before else 0, probe.p50),
        "p95": reported_viewers(before.p95 if before else 0, probe.p95),
    }


def reported_viewers(before: int, measured: int) -> int:
    """The count that a status shows: it moves only by a tenth, so that etcd is no metrics store."""
    return measured if measured == 0 or before == 0 or abs(measured - before) * 10 >= before else before
