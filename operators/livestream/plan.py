"""plan(spec, observed, platform, now): everything that one reconcile of a LiveStream wants done."""

import json
from dataclasses import dataclass

from operators.api import LiveStream
from operators.api.livestream import AutoscalingProvider
from operators.api.livestream_status import StreamPhase
from operators.core.conditions import merge
from operators.core.plan import Manifest, ObjectRef, Plan, ref_of
from operators.core.platform import Platform
from operators.core.pooling import Wish, units_of
from operators.core.scaling import Decision
from operators.flashsale.sizing import fanout_floor
from operators.livestream import autoscale, names, status
from operators.livestream.acceptance import acceptance
from operators.livestream.children.autoscaler import build_hpa, build_scaled_object
from operators.livestream.children.config import build_config_map, chosen_ladder, document, effective_encoding
from operators.livestream.children.fanout import build_budget, build_fanout
from operators.livestream.children.finalize import build_finalize
from operators.livestream.children.policies import build_network_policies
from operators.livestream.children.restream import build_restream
from operators.livestream.children.routes import build_routes
from operators.livestream.children.secret import build_secret, revoked_digests
from operators.livestream.children.transcoder import (
    build_transcoder,
    build_transcoder_budget,
    eviction_marks,
    transcoder_selector,
)
from operators.livestream.children.workload import build_service, build_service_account
from operators.livestream.lifecycle import drained, lifecycle, not_yet_due
from operators.livestream.observe import StreamObserved
from operators.livestream.pinning import pinned
from operators.livestream.placement import pool_name, pooled
from operators.livestream.publish import ingest_fields, publications, revocations, urls, withdrawn
from operators.livestream.transitions import deadline, transitions
from operators.models.plan import own_ray_service

ORDER = ("ServiceAccount", "ConfigMap", "Secret", "NetworkPolicy", "Service", "Deployment")
"""What pods need to start comes before the pods."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The room's size: who decides, how many, and what sales hold."""

    provider: AutoscalingProvider
    decision: Decision
    floor: int


def plan(stream: LiveStream, observed: StreamObserved, platform: Platform, now: float) -> Plan:
    """The plan; see `Plan` for the order in which it is carried out.

    A stream that is live is carried on even when its channel vanishes: its children and routes stay as they are.
    """
    if stream.deleting:
        gone = (*withdrawn(stream, observed), *revocations(revoked_keys(stream, observed)))
        return Plan(publications=gone, release=True)
    accepted = acceptance(stream, observed, platform)
    life = lifecycle(stream, observed, accepted, now)
    over = drained(stream, observed, life, now)
    scale = scale_of(stream, observed, platform, now)
    provision = accepted.status is True and not not_yet_due(stream, now)
    carried = provision or life.started_at is not None
    desired = children(stream, observed, platform, scale, now, ended=over) if provision or over else []
    facts = status.facts(stream, observed, desired, accepted, life, now)
    phase = status.phase(stream, observed, facts, life, now)
    body = status.document(
        stream,
        observed,
        life=life,
        phase_name=phase,
        conditions=merge(facts, stream.status.conditions, generation=stream.metadata.generation, now=now),
        urls=urls(stream, platform),
        fanout=status.fanout_status(stream, observed, floor=scale.floor, provider=scale.provider.value),
        children=status.children_summary(observed, desired),
    )
    expired = over and life.ended_at is not None and now - life.ended_at >= stream.spec.ttl_seconds_after_ended
    receiving = observed.transcoder is not None and observed.transcoder.receiving and life.ended_at is None
    held = stream.spec.paused
    costs = autoscale.deletion_costs(stream, observed) if _shrinks(stream, observed, scale) else ()
    return Plan(
        wish=wish_of(stream, observed, platform) if carried and life.ended_at is None else None,
        patches=() if held else (*eviction_marks(stream, observed.pods, receiving=receiving), *costs),
        applies=() if held else tuple(desired),
        deletes=() if held else tuple(surplus(observed, desired, keep=not provision and not over)),
        publications=(
            *publications(stream, observed, platform, phase, live=carried and life.ended_at is None),
            *revocations(revoked_keys(stream, observed)),
        ),
        status=body,
        events=transitions(stream, phase, scale.decision, facts, life.end_reason),
        requeue_after=deadline(stream, life, scale.decision, now),
        delete_self=expired,
    )


def scale_of(stream: LiveStream, observed: StreamObserved, platform: Platform, now: float) -> Scale:
    """Who scales the room and to what."""
    who = autoscale.provider(stream, observed.capabilities, platform)
    floor = autoscale.floor(stream, observed, now)
    return Scale(who, autoscale.replicas(stream, observed, who, floor, now), floor)


def children(
    stream: LiveStream, observed: StreamObserved, platform: Platform, scale: Scale, now: float, *, ended: bool
) -> list[Manifest]:
    """The wanted child objects; an ended stream keeps only its ConfigMap and the Job that closes its books."""
    channel = observed.channel
    if channel is None:
        return []
    config = build_config_map(stream, channel, platform)
    if ended:
        return [config, build_service_account(stream), build_finalize(stream, platform)]
    made = [
        build_service_account(stream),
        config,
        build_secret(stream, observed.keys, platform, revoked=revoked_keys(stream, observed)),
        *([] if pooled(stream) else transcoders(stream, observed, platform)),
        *room(stream, observed, platform, scale, now),
        *build_network_policies(stream, platform),
        *(build_restream(stream, channel, platform) if on_air(stream, observed) else []),
        *own_models(stream, observed, platform),
        *build_routes(stream, channel, platform, observed.capabilities, room=scale.decision.replicas > 0),
    ]
    return sorted(made, key=lambda item: ORDER.index(item["kind"]) if item["kind"] in ORDER else len(ORDER))


def on_air(stream: LiveStream, observed: StreamObserved) -> bool:
    """Whether there is something to restream: media comes, or is expected back."""
    receiving = observed.transcoder is not None and observed.transcoder.receiving
    return receiving or stream.status.phase in (StreamPhase.LIVE, StreamPhase.INTERRUPTED)


def revoked_keys(stream: LiveStream, observed: StreamObserved) -> tuple[str, ...]:
    """Digests of keys that have ended. A channel that has vanished ends none: its streams go on with what they have."""
    if observed.channel is None:
        return ()
    return revoked_digests(observed.child("Secret", names.key_secret(stream)), observed.keys)


def wish_of(stream: LiveStream, observed: StreamObserved, platform: Platform) -> Wish | None:
    """The place that a pooled stream wants; a channel that has vanished changes nothing about it."""
    if not pooled(stream):
        return None
    if observed.channel is None:
        held = observed.allocation
        return Wish(held.pool, held.units, held.uid, held.keys, held.spec) if held else None
    ladder = chosen_ladder(effective_encoding(stream, observed.channel), platform)
    text = json.dumps(document(stream, observed.channel, platform), sort_keys=True)
    digests = tuple(ingest_fields(observed))
    return Wish(pool_name(stream), units_of(ladder.rungs), stream.metadata.uid, digests, text)


def transcoders(stream: LiveStream, observed: StreamObserved, platform: Platform) -> list[Manifest]:
    """The stream's own transcoder, and a second one beside it when it is redundant."""
    both = [names.transcoder(stream), *([names.standby(stream)] if stream.spec.transcode.redundancy > 1 else [])]
    made = []
    for name in both:
        deployment = build_transcoder(stream, platform, name=name)
        made.append(_kept(stream, observed, platform, deployment))
        made.append(build_service(stream, name, "transcoder", transcoder_selector(stream, name)))
    receiving = observed.transcoder is not None and observed.transcoder.receiving
    budget = build_transcoder_budget(stream, receiving=receiving)
    return [*made, *([budget] if budget else [])]


def room(stream: LiveStream, observed: StreamObserved, platform: Platform, scale: Scale, now: float) -> list[Manifest]:
    """The fan-out: Deployment, Service, disruption budget, and an autoscaler of the cluster where it has one."""
    delegated = scale.provider in (AutoscalingProvider.HPA, AutoscalingProvider.KEDA)
    deployment = build_fanout(stream, platform, replicas=None if delegated else scale.decision.replicas)
    made = [
        _kept(stream, observed, platform, deployment),
        build_service(stream, names.fanout(stream), "fanout"),
        build_budget(stream),
    ]
    low, high = autoscale.bounds(stream, scale.floor)
    low = max(1, low)
    if scale.provider == AutoscalingProvider.HPA:
        made.append(build_hpa(stream, low=low, high=high))
    elif scale.provider == AutoscalingProvider.KEDA:
        per_replica = stream.spec.fanout.connections_per_replica
        start = observed.pod_start_seconds
        floors = [fanout_floor(sale, per_replica, pod_start_seconds=start) for sale in observed.sales]
        ahead = sorted((floor for floor in floors if floor.ends > now), key=lambda floor: floor.begins)
        made.append(build_scaled_object(stream, platform, low=low, high=high, floors=ahead))
    return made


def own_models(stream: LiveStream, observed: StreamObserved, platform: Platform) -> list[Manifest]:
    """The RayService of a stream that shares no models, where Ray is there."""
    if not observed.capabilities.ray or observed.channel is None:
        return []
    made = own_ray_service(stream, {use.model_ref.name for use in observed.channel.spec.models}, platform)
    return [made] if made else []


def surplus(observed: StreamObserved, desired: list[Manifest], *, keep: bool) -> list[ObjectRef]:
    """Children that nobody wants any more. While a stream is not accepted its children stay: it may be live."""
    if keep:
        return []
    wanted = {(item["kind"], item["metadata"]["name"]) for item in desired}
    return [ref_of(live) for key, live in sorted(observed.children.items()) if key not in wanted]


def _kept(stream: LiveStream, observed: StreamObserved, platform: Platform, deployment: Manifest) -> Manifest:
    live = observed.child("Deployment", deployment["metadata"]["name"])
    started = stream.status.phase in (StreamPhase.LIVE, StreamPhase.INTERRUPTED)
    return pinned(deployment, live, started=started, policy=platform.rollout_policy)


def _shrinks(stream: LiveStream, observed: StreamObserved, scale: Scale) -> bool:
    """Whether pods are about to go, or may go at any moment because the cluster decides."""
    if scale.provider in (AutoscalingProvider.HPA, AutoscalingProvider.KEDA):
        return True
    live = observed.child("Deployment", names.fanout(stream))
    return scale.decision.replicas < int(((live or {}).get("spec") or {}).get("replicas") or 0)
