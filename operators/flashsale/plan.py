"""plan(...) of a FlashSale: publish the sale, watch capacity and ledger, never open anything itself."""

from operators.api import FlashSale
from operators.api.flashsale import SalePhase
from operators.core.conditions import Fact
from operators.core.plan import Event, Manifest, ObjectRef, Plan, Publication, ref_of
from operators.core.platform import Platform
from operators.core.times import epoch
from operators.flashsale import sizing, status
from operators.flashsale.children.config import build_config_map, document, published
from operators.flashsale.children.warmup import build_balloon, build_prepull
from operators.flashsale.observe import SaleObserved

SALES_KEY, SALES_CHANNEL = "haat:sales", "haat:sales:changed"
TOLD = ("Accepted", "StockSeeded", "WithinCapacity", "NodesHeld", "Prewarmed")
LOOK_SECONDS = 5.0
"""Nobody wakes us when a pod of a shared service becomes ready, so while one is missing it is looked at this often."""
OVER = (SalePhase.COMPLETED, SalePhase.CANCELLED, SalePhase.FAILED)


def plan(sale: FlashSale, observed: SaleObserved, platform: Platform, now: float) -> Plan:
    """The plan; see `Plan`."""
    if sale.deleting:
        cancelled = Publication(SALES_KEY, sale.metadata.uid, None, announce=SALES_CHANNEL)
        return Plan(publications=(cancelled,), release=True)
    facts = status.facts(sale, observed, platform, now)
    phase = status.phase(sale, observed, facts, now)
    accepted = next(fact for fact in facts if fact.type == "Accepted").status is True
    text = document(sale, observed.stream.id) if observed.stream and accepted else None
    desired = children(sale, observed, platform, text, now)
    publications: tuple[Publication, ...] = ()
    if text:
        value = published(text, unprepared=status.unprepared(facts, sale, now))
        publications = (Publication(SALES_KEY, sale.metadata.uid, value, announce=SALES_CHANNEL),)
    finished = _finished_at(sale, observed)
    expired = finished is not None and now >= finished + sale.spec.ttl_seconds_after_finished
    return Plan(
        applies=tuple(desired),
        deletes=tuple(_surplus(observed, desired)),
        publications=publications,
        status=status.document(sale, observed, facts, phase, now),
        events=_transitions(sale, phase, facts),
        requeue_after=_deadline(sale, observed, facts, finished, now),
        delete_self=expired,
    )


def children(
    sale: FlashSale, observed: SaleObserved, platform: Platform, text: str | None, now: float
) -> list[Manifest]:
    """The wanted child objects."""
    stream = observed.stream
    if text is None or stream is None:
        return []
    desired = [build_config_map(sale, text)]
    prewarm = sale.spec.capacity.prewarm
    per_replica = stream.spec.fanout.connections_per_replica
    floor = sizing.fanout_floor(sale, per_replica, pod_start_seconds=observed.pod_start_seconds)
    ends = epoch(sale.spec.ends_at)
    if sale.status.phase in OVER or now >= ends:
        return desired
    if prewarm.nodes and platform.balloon_priority_class and now >= floor.begins - sizing.NODE_START_SECONDS:
        spare = -(-floor.replicas * sale.spec.capacity.headroom_percent // 100)
        held = floor.replicas if now < floor.begins else spare
        desired.append(build_balloon(sale, platform, replicas=min(held, stream.spec.fanout.max_replicas)))
    if prewarm.image_pre_pull and floor.begins - sizing.NODE_START_SECONDS <= now < epoch(sale.spec.starts_at):
        desired.append(build_prepull(sale, platform))
    return desired


def _surplus(observed: SaleObserved, desired: list[Manifest]) -> list[ObjectRef]:
    """Children of an earlier generation or time. While nothing is wanted (no target), everything stays."""
    if not desired:
        return []
    wanted = {(item["kind"], item["metadata"]["name"]) for item in desired}
    return [ref_of(live) for key, live in sorted(observed.children.items()) if key not in wanted]


def _finished_at(sale: FlashSale, observed: SaleObserved) -> float | None:
    report = observed.report
    if report and report.phase in ("Settled", "Cancelled") and report.ended_at_ms:
        return report.ended_at_ms / 1000
    if sale.status.phase == SalePhase.FAILED:
        return epoch(sale.spec.ends_at)
    return None


def _transitions(sale: FlashSale, phase: str, facts: list[Fact]) -> tuple[Event, ...]:
    before = sale.status.phase
    events = []
    if phase != before:
        kind = "Warning" if phase == SalePhase.FAILED else "Normal"
        events.append(Event(kind, f"Phase{phase}", f"{before or 'New'} -> {phase}"))  # type: ignore[arg-type]
    known = {condition.type: condition for condition in sale.status.conditions}
    for fact in facts:
        seen = known.get(fact.type)
        told = seen is not None and seen.reason == fact.reason
        if fact.status is False and fact.message and not told and fact.type in TOLD:
            if fact.reason != "WaitingForLedger":
                events.append(Event("Warning", fact.reason, fact.message))
        elif fact.type == "Prewarmed" and fact.status and not told:
            events.append(Event("Normal", "CapacityReady", "The capacity for the expected crowd stands."))
    return tuple(events)


def _deadline(
    sale: FlashSale, observed: SaleObserved, facts: list[Fact], finished: float | None, now: float
) -> float | None:
    start, end = epoch(sale.spec.starts_at), epoch(sale.spec.ends_at)
    moments = [start - status.ARM_SECONDS, start - sizing.ALARM_SECONDS, start, end]
    if observed.stream:
        per_replica = observed.stream.spec.fanout.connections_per_replica
        turns = sizing.moments(sale, per_replica, pod_start_seconds=observed.pod_start_seconds)
        moments += [*turns, turns[0] - sizing.NODE_START_SECONDS]
    moments += [view.begins for view in observed.services]
    prewarmed = next(fact for fact in facts if fact.type == "Prewarmed")
    if observed.services and prewarmed.reason == "CapacityMissing" and now < end:
        moments.append(now + LOOK_SECONDS)
    if finished is not None:
        moments.append(finished + sale.spec.ttl_seconds_after_finished)
    ahead = [moment - now for moment in moments if moment > now]
    return min(ahead) + 0.05 if ahead else None
