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
from operators.flashsale.capacity import begins, limits, targets
from operators.flashsale.observe import LedgerReport, SaleObserved
from operators.flashsale.sizing import ALARM_SECONDS

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
        within_capacity(sale, observed),
        _prewarmed(sale, observed, now),
        _armed(sale, report, now),
        Fact("Active", selling, report.phase if selling and report else "NotOpen"),
        Fact("Settled", settled, "Settled" if settled else "Unsettled"),
    ]
    if sale.spec.capacity.prewarm.nodes:
        result.append(nodes_held(platform))
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


def nodes_held(platform: Platform) -> Fact:
    """Whether nodes can be held: a balloon without a priority below all others would give way to nobody."""
    if platform.balloon_priority_class:
        return Fact("NodesHeld", True, "BalloonsAllowed")
    message = (
        "capacity.prewarm.nodes has no effect: the platform has no priority class for balloons. "
        "Set priorityClasses.create in the chart, or leave nodes off."
    )
    return Fact("NodesHeld", False, "NoPriorityClass", message)


def within_capacity(sale: FlashSale, observed: SaleObserved) -> Fact:
    """Whether there may be as much as the sale asks for; known long before it is due."""
    found = limits(sale, observed)
    if found:
        return Fact("WithinCapacity", False, "CapacityLimited", " ".join(limit.words for limit in found))
    return Fact("WithinCapacity", True, "WithinLimits")


def _prewarmed(sale: FlashSale, observed: SaleObserved, now: float) -> Fact:
    if observed.stream is None:
        return Fact("Prewarmed", False, "NoTarget")
    held_from = begins(sale, observed)
    if now < held_from:
        return Fact("Prewarmed", None, "NotDue", f"Capacity is held from {rfc3339(held_from)}.")
    short = [item for item in limits(sale, observed) if item.shared]
    if short and now < epoch(sale.spec.ends_at):
        return Fact("Prewarmed", False, "CapacityLimited", " ".join(limit.words for limit in short))
    percent = sale.spec.capacity.prewarm.min_ready_percent
    missing = [item for item in targets(sale, observed, now) if not item.stands(percent)]
    if missing:
        return Fact("Prewarmed", False, "CapacityMissing", " ".join(item.words for item in missing))
    return Fact("Prewarmed", True, "CapacityReady")


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
    held = [item for item in targets(sale, observed, now) if item.desired]
    prewarmed = next(fact for fact in conditions if fact.type == "Prewarmed")
    if not held:
        return {}
    before = sale.status.capacity
    shown = [{"component": item.component, "desired": item.desired, "ready": item.ready} for item in held]
    body: dict[str, Any] = {"targets": shown}
    started = before.started_at if before and before.started_at else None
    if prewarmed.status is not None:
        body["startedAt"] = started or rfc3339(now)
    ready_at = before.ready_at if before else None
    if prewarmed.status:
        body["readyAt"] = ready_at or rfc3339(now)
    return {"capacity": body}
