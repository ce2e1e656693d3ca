"""What a FlashSale's reconcile looks at."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from operators.api import FlashSale, LiveStream
from operators.core.plan import Manifest
from operators.flashsale.services import ServiceView


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """The sale as the ledger knows it (hash `haat:sales:status`). Times are Unix milliseconds, 0 when not yet."""

    phase: str
    generation: int = 0
    total: int = 0
    reserved: int = 0
    sold: int = 0
    remaining: int = 0
    starts_at_ms: int = 0
    started_at_ms: int = 0
    ended_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class SaleObserved:
    """The world around one FlashSale."""

    stream: LiveStream | None = None
    children: Mapping[tuple[str, str], Manifest] = field(default_factory=dict)
    report: LedgerReport | None = None
    pod_start_seconds: float = 0.0
    services: tuple[ServiceView, ...] = ()


def ledger_report(entries: Mapping[str, str], sale: FlashSale) -> LedgerReport | None:
    """The report of this sale; None while the ledger does not know it or the report cannot be read."""
    text = entries.get(sale.metadata.uid)
    try:
        body = json.loads(text) if text else None
    except ValueError:
        return None
    if not isinstance(body, dict) or "phase" not in body:
        return None
    names = {
        "generation": "generation",
        "total": "total",
        "reserved": "reserved",
        "sold": "sold",
        "remaining": "remaining",
        "starts_at_ms": "starts_at_ms",
        "started_at": "started_at_ms",
        "ended_at": "ended_at_ms",
    }
    numbers = {ours: int(body.get(theirs) or 0) for theirs, ours in names.items()}
    return LedgerReport(phase=str(body["phase"]), **numbers)
