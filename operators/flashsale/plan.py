"""plan(...) of a FlashSale: publish the sale, watch capacity and ledger, never open anything itself."""

import json
from typing import Any

from operators.api import FlashSale
from operators.api.base import seconds
from operators.api.flashsale import SalePhase, SaleState
from operators.core.children import child
from operators.core.conditions import Fact, merge, summary
from operators.core.plan import Event, Manifest, Plan, Publication
from operators.core.times import epoch, rfc3339
from operators.flashsale.floor import floor_of, window
from operators.flashsale.observe import LedgerReport, SaleObserved

SALES_KEY, SALES_CHANNEL = "haat:sales", "haat:sales:changed"
ARM_SECONDS = 120.0
NEEDED = ("Accepted", "TargetsResolved", "StockSeeded", "Prewarmed")


def plan(sale: FlashSale, observed: SaleObserved, now: float) -> Plan:
    """The plan; see `Plan`."""
    if sale.deleting:
        cancelled = Publication(SALES_KEY, sale.metadata.uid, None, announce=SALES_CHANNEL)
        return Plan(publications=(cancelled,), release=True)
    facts = _facts(sale, observed, now)
    phase = _phase(sale, observed, facts, now)
    document = _sale_json(sale, observed)
    publications: tuple[Publication, ...] = ()
    applies: tuple[Manifest, ...] = ()
    if document:
        publications = (Publication(SALES_KEY, sale.metadata.uid, document, announce=SALES_CHANNEL),)
        applies = (_config_map(sale, document),)
    expires = _finished_at(sale, observed)
    expired = expires is not None and now >= expires + sale.spec.ttl_seconds_after_finished
    return Plan(
        applies=applies,
        publications=publications,
        status=_status(sale, observed, facts, phase, now),
        events=_transitions(sale, phase),
        requeue_after=_deadline(sale, now),
        delete_self=expired,
    )


def _sale_json(sale: FlashSale, observed: SaleObserved) -> str | None:
    """sale.json as the contracts page describes it; None while the target is unknown."""
    if observed.stream is None:
        return None
    spec = sale.spec
    items = [item.model_dump(exclude_none=True) for item in spec.items]
    document = {
        "uid": sale.metadata.uid,
        "namespace": sale.metadata.namespace,
        "name": sale.metadata.name,
        "generation": sale.metadata.generation,
        "stream": observed.stream.id,
        "state": spec.state.value,
        "starts_at_ms": int(epoch(spec.starts_at) * 1000),
        "ends_at_ms": int(epoch(spec.ends_at) * 1000),
        "hold_seconds": seconds(spec.reservation.hold),
        "grace_seconds": seconds(spec.settlement.grace),
        "announce_before_seconds": sorted((seconds(item) for item in spec.countdown.announce_before), reverse=True),
        "items": items,
    }
    return json.dumps(document, sort_keys=True)


def _config_map(sale: FlashSale, document: str) -> Manifest:
    return child(
        sale,
        api_version="v1",
        kind="ConfigMap",
        name=f"{sale.metadata.name}-sale",
        component="sale-config",
        data={"sale.json": document},
    )


def _facts(sale: FlashSale, observed: SaleObserved, now: float) -> list[Fact]:
    report = observed.report
    target = sale.spec.stream or sale.spec.channel
    name = target.name if target else "?"
    resolved = (
        Fact("TargetsResolved", True, "Resolved")
        if observed.stream
        else Fact("TargetsResolved", False, "StreamNotFound", f"No stream for {name} exists yet; waiting for it.")
    )
    facts = [
        Fact("Accepted", True, "Accepted"),
        resolved,
        _seeded(sale, report),
        _prewarmed(sale, observed, now),
        _armed(sale, report, now),
    ]
    selling = report is not None and report.phase in ("Open", "SoldOut", "Paused")
    facts.append(Fact("Active", selling, "Open" if selling else "NotOpen"))
    settled = report is not None and report.phase == "Settled"
    facts.append(Fact("Settled", settled, "Settled" if settled else "Unsettled"))
    return [*facts, summary(facts, needed=NEEDED)]


def _seeded(sale: FlashSale, report: LedgerReport | None) -> Fact:
    wanted = sum(item.stock for item in sale.spec.items)
    if report is None:
        return Fact("StockSeeded", False, "WaitingForLedger", "The sale service has not taken the sale over yet.")
    if report.total != wanted:
        return Fact("StockSeeded", False, "StockMismatch", f"The ledger holds {report.total} of {wanted} units.")
    return Fact("StockSeeded", True, "LedgerHoldsStock")


def _prewarmed(sale: FlashSale, observed: SaleObserved, now: float) -> Fact:
    if observed.stream is None:
        return Fact("Prewarmed", False, "NoTarget")
    begins, _ = window(sale)
    if now < begins:
        return Fact("Prewarmed", None, "NotDue", f"Capacity is held from {rfc3339(begins)}.")
    desired, ready = _capacity(sale, observed, now)
    needed = -(-desired * sale.spec.capacity.prewarm.min_ready_percent // 100)
    if ready >= needed:
        return Fact("Prewarmed", True, "CapacityReady")
    return Fact("Prewarmed", False, "CapacityMissing", f"{ready} of {desired} fan-out pods are ready.")


def _armed(sale: FlashSale, report: LedgerReport | None, now: float) -> Fact:
    if report is None or sale.spec.state != SaleState.SCHEDULED:
        return Fact("Armed", False, "NotTaken")
    start = (report.starts_at_ms / 1000) or epoch(sale.spec.starts_at)
    if now < start - ARM_SECONDS:
        return Fact("Armed", False, "NotDue", f"Arms at {rfc3339(start - ARM_SECONDS)}.")
    return Fact("Armed", True, "ClockSet")


def _capacity(sale: FlashSale, observed: SaleObserved, now: float) -> tuple[int, int]:
    stream = observed.stream
    if stream is None:
        return 0, 0
    fanout = stream.spec.fanout
    desired = max(1, min(fanout.max_replicas, floor_of(sale, fanout.connections_per_replica, now)))
    return desired, stream.status.fanout.ready_replicas if stream.status.fanout else 0


def _phase(sale: FlashSale, observed: SaleObserved, facts: list[Fact], now: float) -> str:
    """The ledger's word first, then what stands."""
    report = observed.report
    reported = {
        "Open": SalePhase.ACTIVE,
        "SoldOut": SalePhase.SOLD_OUT,
        "Paused": SalePhase.PAUSED,
        "Closed": SalePhase.COOLDOWN,
        "Settled": SalePhase.COMPLETED,
        "Cancelled": SalePhase.CANCELLED,
    }
    if report and report.phase in reported:
        return reported[report.phase]
    if sale.spec.state == SaleState.CANCELLED:
        return SalePhase.CANCELLED
    if observed.stream is None:
        return SalePhase.PENDING
    if sale.spec.state == SaleState.PAUSED:
        return SalePhase.PAUSED
    true = {fact.type for fact in facts if fact.status}
    if {"Armed", "StockSeeded"} <= true:
        return SalePhase.ARMED
    return SalePhase.PREWARMING if now >= window(sale)[0] else SalePhase.SCHEDULED


def _status(sale: FlashSale, observed: SaleObserved, facts: list[Fact], phase: str, now: float) -> dict[str, Any]:
    generation = sale.metadata.generation
    body: dict[str, Any] = {
        "observedGeneration": generation,
        "conditions": merge(facts, sale.status.conditions, generation=generation, now=now),
        "phase": phase,
        "message": next(fact.message for fact in facts if fact.type == "Ready"),
    }
    report = observed.report
    if report:
        stock = {name: getattr(report, name) for name in ("total", "reserved", "sold", "remaining")}
        body["stock"] = stock
        if report.started_at_ms:
            body["startedAt"] = rfc3339(report.started_at_ms / 1000)
            body["startSkewMillis"] = report.started_at_ms - report.starts_at_ms
        if report.ended_at_ms:
            body["endedAt"] = rfc3339(report.ended_at_ms / 1000)
    desired, ready = _capacity(sale, observed, now)
    if desired:
        body["capacity"] = {"targets": [{"component": "fanout", "desired": desired, "ready": ready}]}
    return body


def _finished_at(sale: FlashSale, observed: SaleObserved) -> float | None:
    report = observed.report
    if report and report.phase in ("Settled", "Cancelled") and report.ended_at_ms:
        return report.ended_at_ms / 1000
    return None


def _transitions(sale: FlashSale, phase: str) -> tuple[Event, ...]:
    before = sale.status.phase
    if phase == before:
        return ()
    return (Event("Normal", f"Phase{phase}", f"{before or 'New'} -> {phase}"),)


def _deadline(sale: FlashSale, now: float) -> float | None:
    start, end = epoch(sale.spec.starts_at), epoch(sale.spec.ends_at)
    moments = (window(sale)[0], start - ARM_SECONDS, start, end, window(sale)[1])
    ahead = [moment - now for moment in moments if moment > now]
    return min(ahead) + 0.05 if ahead else None
