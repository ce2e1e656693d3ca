"""What a reconcile of a FlashSale wants."""

import json

import pytest

from operators.api import FlashSale
from operators.core.plan import Plan
from operators.flashsale.observe import LedgerReport, SaleObserved, ledger_report
from operators.flashsale.plan import plan as plan_sale
from operators.flashsale.sizing import floor_of
from tests.unit.operators.builders import NOW, PLATFORM, sale, stream

WARM = stream(status={"fanout": {"replicas": 3, "readyReplicas": 3}})
MINUTE = 60.0


def plan(subject: FlashSale, seen: SaleObserved, now: float) -> Plan:
    return plan_sale(subject, seen, PLATFORM, now)


def report(phase: str, **numbers: int) -> LedgerReport:
    return LedgerReport(phase, generation=1, **({"total": 20, "remaining": 20} | numbers))


@pytest.mark.parametrize(
    ("seen", "spec", "now", "phase", "reason"),
    [
        pytest.param(SaleObserved(), {}, NOW, "Pending", "StreamNotFound", id="stream is missing"),
        pytest.param(SaleObserved(WARM), {}, NOW - 60 * MINUTE, "Scheduled", "WaitingForLedger", id="long before"),
        pytest.param(SaleObserved(WARM), {}, NOW, "Prewarming", "WaitingForLedger", id="capacity is being held"),
        pytest.param(SaleObserved(WARM, report=report("Scheduled")), {}, NOW + 9 * MINUTE, "Armed", "Ready", id="armed"),
        pytest.param(SaleObserved(stream(), report=report("Scheduled")), {}, NOW + 9 * MINUTE, "Armed", "CapacityMissing",
                     id="armed although capacity is missing: the sale still starts"),
        pytest.param(SaleObserved(WARM, report=report("Open")), {}, NOW, "Active", "Ready", id="the ledger opened it"),
        pytest.param(SaleObserved(WARM, report=report("SoldOut", sold=20, remaining=0)), {}, NOW, "SoldOut", "Ready",
                     id="sold out"),
        pytest.param(SaleObserved(WARM, report=report("Closed")), {}, NOW, "Cooldown", "Ready", id="closed"),
        pytest.param(SaleObserved(WARM, report=report("Settled")), {}, NOW, "Completed", "Ready", id="settled"),
        pytest.param(SaleObserved(WARM, report=report("Open", total=19)), {}, NOW, "Active", "StockMismatch",
                     id="the ledger holds another stock"),
        pytest.param(SaleObserved(WARM), {"state": "Cancelled"}, NOW, "Cancelled", "WaitingForLedger", id="cancelled"),
    ],
)  # fmt: skip
def test_phases(seen: SaleObserved, spec: dict, now: float, phase: str, reason: str) -> None:
    result = plan(sale(**spec), seen, now)
    ready = next(item for item in result.status["conditions"] if item["type"] == "Ready")
    assert (result.status["phase"], ready["reason"]) == (phase, reason)


def test_the_document_is_published_with_what_the_sale_service_needs() -> None:
    result = plan(sale(), SaleObserved(WARM), NOW)
    (publication,) = result.publications
    document = json.loads(publication.value or "")
    assert (publication.key, publication.field, publication.announce) == (
        "haat:sales",
        "sale-uid",
        "haat:sales:changed",
    )
    assert document["stream"] == "shop/launch"
    assert document["starts_at_ms"] == 1_800_000_600_000
    assert document["items"][0]["per_user_limit"] == 1


def test_deleting_cancels_the_sale_in_the_ledger() -> None:
    result = plan(sale(metadata={"deletionTimestamp": "2027-01-15T08:00:00Z"}), SaleObserved(WARM), NOW)
    assert result.release
    assert [item.value for item in result.publications] == [None]


def test_skew_is_the_difference_between_plan_and_opening() -> None:
    opened = report("Open", starts_at_ms=1_800_000_000_000, started_at_ms=1_800_000_000_012)
    assert plan(sale(), SaleObserved(WARM, report=opened), NOW).status["startSkewMillis"] == 12


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(NOW - 6 * MINUTE, 0, id="before the lead time"),
        pytest.param(NOW - 4 * MINUTE, 3, id="lead time"),
        pytest.param(NOW + 60 * MINUTE, 3, id="during the sale"),
        pytest.param(NOW + 79 * MINUTE, 3, id="still kept afterwards"),
        pytest.param(NOW + 80 * MINUTE, 2, id="first step of the cooldown"),
        pytest.param(NOW + 82 * MINUTE, 1, id="second step"),
        pytest.param(NOW + 84 * MINUTE, 0, id="third step"),
        pytest.param(NOW + 90 * MINUTE, 0, id="over"),
    ],
)
def test_capacity_is_held_from_lead_time_to_cooldown(now: float, expected: int) -> None:
    assert floor_of(sale(), 5000, now) == expected


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"sold": 1}'])
def test_a_report_that_cannot_be_read_is_no_report(text: str) -> None:
    assert ledger_report({"sale-uid": text}, sale()) is None
