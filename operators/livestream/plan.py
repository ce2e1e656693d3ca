"""plan(spec, observed, platform, now): everything that one reconcile of a LiveStream wants done."""

from operators.api import LiveStream
from operators.api.base import seconds
from operators.api.livestream import AutoscalingProvider
from operators.api.livestream_status import StreamPhase
from operators.core.conditions import Fact, merge
from operators.core.plan import Event, Manifest, ObjectRef, Plan, ref_of
from operators.core.platform import Platform
from operators.core.scaling import Decision, ScalingRules, decide, floor_for
from operators.core.times import epoch
from operators.flashsale.sizing import floor_of
from operators.livestream import names, status
from operators.livestream.children.config import build_config_map, effective_encoding
from operators.livestream.children.fanout import build_budget, build_fanout
from operators.livestream.children.routes import build_ingress
from operators.livestream.children.secret import build_secret
from operators.livestream.children.transcoder import build_transcoder
from operators.livestream.children.workload import build_service, build_service_account
from operators.livestream.observe import StreamObserved
from operators.livestream.publish import publications, urls, withdrawn

RESCALE_SECONDS = 15.0
"""A room above its floor is looked at again this often, because going down is a matter of time alone."""


def plan(stream: LiveStream, observed: StreamObserved, platform: Platform, now: float) -> Plan:
    """The plan; see `Plan` for the order in which it is carried out.

    A stream that is live is carried on even when its channel vanishes: its children and routes stay as they are.
    """
    if stream.deleting:
        return Plan(publications=withdrawn(stream, observed), release=True)
    accepted = acceptance(stream, observed, platform)
    life = status.lifecycle(stream, observed, accepted, now)
    over = status.drained(stream, observed, life, now)
    floor = sale_floor(stream, observed, platform, now)
    scaled = replicas(stream, observed, floor, now)
    provision = accepted.status is True and not status.not_yet_due(stream, now)
    carried = provision or life.started_at is not None
    desired = children(stream, observed, platform, scaled.replicas, ended=over) if provision else []
    facts = status.facts(stream, observed, desired, accepted, life)
    phase = status.phase(stream, observed, facts, life, now)
    present = sum(1 for item in desired if observed.child(item["kind"], item["metadata"]["name"]))
    document = status.document(
        stream,
        observed,
        life=life,
        phase_name=phase,
        conditions=merge(facts, stream.status.conditions, generation=stream.metadata.generation, now=now),
        urls=urls(stream, platform),
        floor=floor,
        children={"desired": len(desired), "ready": present},
    )
    expired = over and life.ended_at is not None and now - life.ended_at >= stream.spec.ttl_seconds_after_ended
    return Plan(
        applies=() if stream.spec.paused else tuple(desired),
        deletes=() if stream.spec.paused else tuple(surplus(observed, desired, keep=not provision and not over)),
        publications=publications(stream, observed, platform, phase, live=carried and life.ended_at is None),
        status=document,
        events=transitions(stream, phase, scaled, accepted, life.end_reason),
        requeue_after=deadline(stream, life, scaled, now),
        delete_self=expired,
    )


def acceptance(stream: LiveStream, observed: StreamObserved, platform: Platform) -> Fact:
    """Whether the stream may exist as it is asked for."""
    channel = observed.channel
    if channel is None:
        name = stream.spec.channel.name
        return Fact("Accepted", False, "ChannelNotFound", f"Channel {name} does not exist; waiting for it.")
    if channel.spec.suspended:
        return Fact("Accepted", False, "ChannelSuspended", f"Channel {channel.metadata.name} is suspended.")
    limit = channel.spec.quota.max_concurrent_streams
    if len(observed.siblings) >= limit:
        message = f"Channel {channel.metadata.name} allows {limit} at a time: {', '.join(observed.siblings)}."
        return Fact("Accepted", False, "QuotaExceeded", message)
    encoding = effective_encoding(stream, channel)
    ladder = encoding.ladder_ref.name if encoding.ladder_ref else "default"
    if ladder not in platform.ladders:
        known = ", ".join(sorted(platform.ladders))
        return Fact("Accepted", False, "LadderNotFound", f"Ladder {ladder} is not configured; known: {known}.")
    return Fact("Accepted", True, "Accepted")


def children(
    stream: LiveStream, observed: StreamObserved, platform: Platform, replica_count: int, *, ended: bool
) -> list[Manifest]:
    """The wanted child objects; an ended stream keeps only its ConfigMap."""
    channel = observed.channel
    if channel is None:
        return []
    config = build_config_map(stream, channel, platform)
    if ended:
        return [config]
    return [
        build_service_account(stream),
        config,
        build_secret(stream, observed.keys, platform),
        build_service(stream, names.transcoder(stream), "transcoder"),
        build_service(stream, names.fanout(stream), "fanout"),
        build_transcoder(stream, platform),
        build_fanout(stream, platform, replicas=replica_count),
        build_budget(stream),
        build_ingress(stream, platform),
    ]


def surplus(observed: StreamObserved, desired: list[Manifest], *, keep: bool) -> list[ObjectRef]:
    """Children that nobody wants any more. While a stream is not accepted its children stay: it may be live."""
    if keep:
        return []
    wanted = {(item["kind"], item["metadata"]["name"]) for item in desired}
    return [ref_of(live) for key, live in sorted(observed.children.items()) if key not in wanted]


def sale_floor(stream: LiveStream, observed: StreamObserved, platform: Platform, now: float) -> int:
    """Fan-out replicas to hold: for the viewers that the stream expects and for each sale that is near."""
    per_replica = stream.spec.fanout.connections_per_replica
    expected = floor_for(stream.spec.autoscaling.expected_viewers, 0, per_replica)
    return max(
        [
            expected,
            *(
                floor_of(sale, per_replica, now, pod_start_seconds=observed.pod_start_seconds)
                for sale in observed.sales
            ),
        ]
    )


def replicas(stream: LiveStream, observed: StreamObserved, floor: int, now: float) -> Decision:
    """How many fan-out pods there should be."""
    spec = stream.spec.fanout
    rules = ScalingRules(
        minimum=spec.min_replicas,
        maximum=spec.max_replicas,
        per_replica=spec.connections_per_replica,
        utilization_percent=spec.target_utilization_percent,
    )
    live = observed.child("Deployment", names.fanout(stream))
    current = int(((live or {}).get("spec") or {}).get("replicas") or 0)
    if live is None or stream.spec.autoscaling.provider == AutoscalingProvider.NONE:
        return Decision(min(max(spec.min_replicas, floor), spec.max_replicas), "Floor")
    return decide(
        observed.samples, current=current, floor=floor, rules=rules, now=now, last_change=observed.last_scaled_at
    )


def transitions(stream: LiveStream, phase: str, scaled: Decision, accepted: Fact, end_reason: str) -> tuple[Event, ...]:
    """Events for what changed since the last status."""
    before = stream.status.phase
    events = []
    if phase != before:
        if accepted.status is not True:
            events.append(Event("Warning", accepted.reason, accepted.message))
        else:
            detail = f" ({end_reason})" if end_reason else ""
            warn = phase == StreamPhase.INTERRUPTED
            events.append(
                Event("Warning" if warn else "Normal", f"Phase{phase}", f"{before or 'New'} -> {phase}{detail}")
            )
    known = stream.status.fanout.replicas if stream.status.fanout else 0
    if known and scaled.replicas != known and phase not in (StreamPhase.ENDED, StreamPhase.DRAINING):
        events.append(Event("Normal", "Scaled", f"fan-out {known} -> {scaled.replicas}: {scaled.reason}"))
    return tuple(events)


def deadline(stream: LiveStream, life: status.Lifecycle, scaled: Decision, now: float) -> float | None:
    """Seconds until time alone changes the plan."""
    schedule = stream.spec.schedule
    moments = []
    if scaled.reason in ("Steady", "ScaleUp", "ScaleDown", "Panic") and life.ended_at is None:
        moments.append(now + RESCALE_SECONDS)
    if life.ended_at is not None:
        moments += [life.ended_at + 10, life.ended_at + seconds(stream.spec.fanout.drain)]
        moments.append(life.ended_at + stream.spec.ttl_seconds_after_ended)
    else:
        if schedule.start_at:
            moments.append(epoch(schedule.start_at) - seconds(schedule.prepare_before))
        if schedule.end_at:
            moments.append(epoch(schedule.end_at))
        if life.started_at is not None:
            moments.append(life.started_at + seconds(schedule.max_duration))
        if life.interrupted_at is not None:
            moments.append(life.interrupted_at + seconds(schedule.end_after_idle))
    ahead = [moment - now for moment in moments if moment > now]
    return min(ahead) + 0.05 if ahead else None
