"""Conditions, phase and the rest of a FlashSale's status.

The ledger's word comes first: whether a sale is open is what the sale service reports, never what this clock says.
"""

from collections.abc import Sequence
from typing import Any

from operators.api import FlashSale
from operators.api.flashsale import SalePhase, SaleState
from operators.api.sale_terms import FraudMode
from operators.core.conditions import Fact, merge, summary
from operators.core.cron import CronError, zone
from operators.core.platform import Platform
from operators.core.times import epoch, rfc3339
from operators.flashsale.observe import LedgerReport, SaleObserved
from operators.flashsale.sizing import ALARM_SECONDS, fanout_floor, floor_of

ARM_SECONDS = 120.0
NEEDED = ("Accepted", "TargetsResolved", "StockSeeded", "Prewarmed")
SELLING = ("Open", "SoldOut", "Paused")
_REPORTED = {
    "Open": SalePhase.ACTIVE,
    "SoldOut": SalePhase.SOLD_OUT,
    "Closed": SalePhase.COOLDOWN,
    "Settled": SalePhase.COMPLETED,
    "Cancelled": SalePhase.CANCELLED,
}


def facts(sale: FlashSale, observed: SaleObserved, platform: Platform, now: float) -> list[Fact]:
    """All conditions, `Ready` last."""
    report = observed.report
    target = sale.spec.stream or sale.spec.channel
    name = target.name if target else "?"
    resolved = (
        Fact("TargetsResolved", True, "Resolved")
        if observed.stream
        else Fact("TargetsResolved", False, "StreamNotFound", f"No stream for {name} exists yet; waiting for it.")
    )
    selling = report is not None and report.phase in SELLING and bool(report.started_at_ms or report.phase != "Paused")
    settled = report is not None and report.phase == "Settled"
    result = [
        acceptance(sale, platform),
        resolved,
        _seeded(sale, report),
        _prewarmed(sale, observed, now),
        _armed(sale, report, now),
        Fact("Active", selling, report.phase if selling and report else "NotOpen"),
        Fact("Settled", settled, "Settled" if settled else "Unsettled"),
    ]
    if sale.spec.state == SaleState.PAUSED:
        result.append(Fact("Paused", True, "Paused", "spec.state is Paused: nobody can buy."))
    return [*result, summary(result, needed=NEEDED)]


def acceptance(sale: FlashSale, platform: Platform) -> Fact:
    """Whether everything that the sale names exists."""
    try:
        zone(sale.spec.display_timezone)
    except CronError as error:
        return Fact("Accepted", False, "TimeZoneUnknown", f"spec.displayTimezone: {error}")
    uses = [("pricing", sale.spec.pricing.model_ref)]
    if sale.spec.fraud.mode != FraudMode.OFF:
        uses.append(("fraud", sale.spec.fraud.model_ref))
    for field, ref in uses:
        if ref is not None and ref.name not in platform.models:
            known = ", ".join(sorted(platform.models)) or "none"
            message = f"spec.{field}.modelRef: model {ref.name} is not configured; known: {known}."
            return Fact("Accepted", False, "ModelNotFound", message)
    return Fact("Accepted", True, "Accepted")


def _seeded(sale: FlashSale, report: LedgerReport | None) -> Fact:
    wanted = sum(item.stock for item in sale.spec.items)
    if report is None:
        return Fact("StockSeeded", False, "WaitingForLedger", "The sale service has not taken the sale over yet.")
    if report.total != wanted:
        return Fact("StockSeeded", False, "StockMismatch", f"The ledger holds {report.total} of {wanted} units.")
    return Fact("StockSeeded", True, "LedgerHoldsStock")


def _prewarmed(sale: FlashSale, observed: SaleObserved, now: float) -> Fact:
    stream = observed.stream
    if stream is None:
        return Fact("Prewarmed", False, "NoTarget")
    per_replica = stream.spec.fanout.connections_per_replica
    begins = fanout_floor(sale, per_replica, pod_start_seconds=observed.pod_start_seconds).begins
    if now < begins:
        return Fact("Prewarmed", None, "NotDue", f"Capacity is held from {rfc3339(begins)}.")
    desired, ready = capacity(sale, observed, now)
    needed = -(-desired * sale.spec.capacity.prewarm.min_ready_percent // 100)
    if ready >= needed:
        return Fact("Prewarmed", True, "CapacityReady")
    return Fact("Prewarmed", False, "CapacityMissing", f"{ready} of {desired} fan-out pods are ready.")


def _armed(sale: FlashSale, report: LedgerReport | None, now: float) -> Fact:
    """Armed is a promise of the sale service: it reports the generation that its clock will open."""
    if report is None or sale.spec.state != SaleState.SCHEDULED:
        return Fact("Armed", False, "NotTaken")
    start = (report.starts_at_ms / 1000) or epoch(sale.spec.starts_at)
    if now < start - ARM_SECONDS:
        return Fact("Armed", False, "NotDue", f"Arms at {rfc3339(start - ARM_SECONDS)}.")
    if report.generation < sale.metadata.generation:
        message = f"The sale service still holds generation {report.generation} of {sale.metadata.generation}."
        return Fact("Armed", False, "WaitingForAck", message)
    return Fact("Armed", True, "ClockSet")


def capacity(sale: FlashSale, observed: SaleObserved, now: float) -> tuple[int, int]:
    """(fan-out pods that the sale wants now, fan-out pods that are ready)."""
    stream = observed.stream
    if stream is None:
        return 0, 0
    fanout = stream.spec.fanout
    floor = floor_of(sale, fanout.connections_per_replica, now, pod_start_seconds=observed.pod_start_seconds)
    return min(fanout.max_replicas, floor), stream.status.fanout.ready_replicas if stream.status.fanout else 0


def unprepared(conditions: Sequence[Fact], sale: FlashSale, now: float) -> bool:
    """Whether the start is a minute away and capacity is missing: a queue must stand in front of the shop."""
    prewarmed = next(fact for fact in conditions if fact.type == "Prewarmed")
    return prewarmed.status is False and now >= epoch(sale.spec.starts_at) - ALARM_SECONDS


def phase(sale: FlashSale, observed: SaleObserved, conditions: Sequence[Fact], now: float) -> str:
    """The one word for people."""
    report = observed.report
    if report and report.phase in _REPORTED:
        return _REPORTED[report.phase]
    if sale.spec.state == SaleState.CANCELLED:
        return SalePhase.CANCELLED
    if now >= epoch(sale.spec.ends_at) and report is None:
        return SalePhase.FAILED
    if observed.stream is None:
        return SalePhase.PENDING
    if sale.spec.state == SaleState.PAUSED or (report and report.phase == "Paused"):
        return SalePhase.PAUSED
    true = {fact.type for fact in conditions if fact.status}
    if {"Armed", "StockSeeded"} <= true:
        return SalePhase.ARMED
    due = next(fact for fact in conditions if fact.type == "Prewarmed").status is not None
    return SalePhase.PREWARMING if due else SalePhase.SCHEDULED


def document(
    sale: FlashSale, observed: SaleObserved, conditions: Sequence[Fact], phase_name: str, now: float
) -> dict[str, Any]:
    """The status as it is applied."""
    generation = sale.metadata.generation
    body: dict[str, Any] = {
        "observedGeneration": generation,
        "conditions": merge(conditions, sale.status.conditions, generation=generation, now=now),
        "phase": phase_name,
        "message": next(fact.message for fact in conditions if fact.type == "Ready"),
    }
    report = observed.report
    if report:
        body["stock"] = {name: getattr(report, name) for name in ("total", "reserved", "sold", "remaining")}
        if report.started_at_ms:
            body["startedAt"] = rfc3339(report.started_at_ms / 1000)
            body["startSkewMillis"] = report.started_at_ms - report.starts_at_ms
        if report.ended_at_ms:
            body["endedAt"] = rfc3339(report.ended_at_ms / 1000)
    return body | _capacity_document(sale, observed, conditions, now)


def _capacity_document(
    sale: FlashSale, observed: SaleObserved, conditions: Sequence[Fact], now: float
) -> dict[str, Any]:
    desired, ready = capacity(sale, observed, now)
    prewarmed = next(fact for fact in conditions if fact.type == "Prewarmed")
    if not desired:
        return {}
    before = sale.status.capacity
    body: dict[str, Any] = {"targets": [{"component": "fanout", "desired": desired, "ready": ready}]}
    started = before.started_at if before and before.started_at else None
    if prewarmed.status is not None:
        body["startedAt"] = started or rfc3339(now)
    ready_at = before.ready_at if before else None
    if prewarmed.status:
        body["readyAt"] = ready_at or rfc3339(now)
    return {"capacity": body}
