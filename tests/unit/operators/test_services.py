"""Floors of the shared services: what sales hold together, within bounds, warm before and cool afterwards."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.api import FlashSale
from operators.core.plan import ObjectRef, Plan
from operators.core.platform import Platform, PlatformError, ServiceCapacity, SharedService, parse
from operators.flashsale.observe import SaleObserved
from operators.flashsale.plan import LOOK_SECONDS, plan
from operators.flashsale.services import LiveService, change, needed, target, views, wanted
from tests.unit.operators.builders import NOW, PLATFORM, sale, stream

MINUTE = 60.0
HUNDRED = ServiceCapacity(rps_per_replica=100, min=2, max=8)
COMMERCE = SharedService.COMMERCE
WIDE = PLATFORM.model_copy(update={"capacity": {COMMERCE: HUNDRED}})
WARM = stream(status={"fanout": {"replicas": 3, "readyReplicas": 3}})


def rush(rps: int = 400, **more: Any) -> FlashSale:
    """A sale of 08:10 to 09:10 that expects taps, without headroom; `NOW` is 08:00."""
    return sale(**({"capacity": {"expectedPeakRps": rps, "headroomPercent": 0}} | more))


@pytest.mark.parametrize(
    ("now", "replicas"),
    [
        pytest.param(NOW - 6 * MINUTE, 2, id="before the lead time: what stands anyway"),
        pytest.param(NOW - 4 * MINUTE, 4, id="lead time"),
        pytest.param(NOW + 60 * MINUTE, 4, id="during the sale"),
        pytest.param(NOW + 79 * MINUTE, 4, id="still kept afterwards"),
        pytest.param(NOW + 80 * MINUTE, 3, id="first step of the cooldown"),
        pytest.param(NOW + 84 * MINUTE, 2, id="never below what stands anyway"),
        pytest.param(NOW + 90 * MINUTE, 2, id="back to the base"),
    ],
)
def test_a_floor_from_lead_time_to_cooldown(now: float, replicas: int) -> None:
    assert wanted([rush()], HUNDRED, now) == replicas


@pytest.mark.parametrize(
    ("sales", "replicas"),
    [
        pytest.param([], 2, id="none"),
        pytest.param([rush(0)], 2, id="one that expects no taps"),
        pytest.param([rush(300), rush(250)], 6, id="two at once add up, and are rounded once"),
        pytest.param([rush(300), rush(300, state="Cancelled")], 3, id="a cancelled one holds nothing"),
        pytest.param([rush(300), rush(300, state="Paused")], 6, id="a paused one may go on at any moment"),
        pytest.param([rush(300, metadata={"deletionTimestamp": "2027-01-15T08:00:00Z"})], 2, id="one that is deleted"),
        pytest.param([rush(300, status={"conditions": [{"type": "Accepted", "status": "False", "reason": "X",
                                                       "lastTransitionTime": "2027-01-15T08:00:00Z"}]})], 2,
                     id="one that is not accepted never opens"),
        pytest.param([rush(5000)], 8, id="never more than there may be"),
        pytest.param([sale(capacity={"expectedPeakRps": 300, "headroomPercent": 50})], 5, id="headroom"),
    ],
)  # fmt: skip
def test_what_sales_hold_together(sales: list[FlashSale], replicas: int) -> None:
    assert wanted(sales, HUNDRED, NOW) == replicas


@given(st.lists(st.integers(0, 3000), max_size=6), st.floats(-7200, 14_400))
def test_floors_stay_within_their_bounds_and_cover_what_is_asked(taps: list[int], later: float) -> None:
    sales = [rush(rps) for rps in taps]
    found, asked = wanted(sales, HUNDRED, NOW + later), needed(sales, HUNDRED, NOW + later)
    assert 2 <= found <= 8
    assert found >= min(asked, 8)
    assert asked * 100 <= sum(taps) + 99


def test_slow_pods_are_asked_for_earlier() -> None:
    crowd = ServiceCapacity(rps_per_replica=10, max=1000)
    at = NOW - 6 * MINUTE
    assert wanted([rush(400)], crowd, at) == 1
    assert wanted([rush(400)], crowd, at, pod_start_seconds=200.0) == 40


@pytest.mark.parametrize(
    ("capacity", "live", "spec"),
    [
        pytest.param(HUNDRED, {"spec": {"replicas": 2}}, {"replicas": 4}, id="replicas"),
        pytest.param(HUNDRED, {"spec": {"replicas": 4}}, None, id="nothing to write"),
        pytest.param(HUNDRED.model_copy(update={"autoscaler": "hpa"}), {"spec": {"minReplicas": 2, "maxReplicas": 9}},
                     {"minReplicas": 4}, id="the least of an autoscaler"),
        pytest.param(HUNDRED.model_copy(update={"autoscaler": "hpa"}), {"spec": {}}, {"minReplicas": 4},
                     id="an autoscaler without one"),
    ],
)  # fmt: skip
def test_one_field_is_written_and_no_other(capacity: ServiceCapacity, live: dict, spec: dict | None) -> None:
    where = target(COMMERCE, capacity, Platform())
    found = change(where, live, 4)
    if spec is None:
        assert found is None
    else:
        assert found == {
            "apiVersion": where.api_version,
            "kind": where.kind,
            "metadata": {"name": where.name, "namespace": "haat-system"},
            "spec": spec,
        }


def test_the_target_is_the_deployment_or_the_autoscaler() -> None:
    assert target(COMMERCE, HUNDRED, Platform()) == ObjectRef("apps/v1", "Deployment", "haat-system", "commerce")
    scaled = target(COMMERCE, HUNDRED.model_copy(update={"autoscaler": "hpa"}), Platform())
    assert (scaled.kind, scaled.name) == ("HorizontalPodAutoscaler", "hpa")


def planned(subject: FlashSale, live: LiveService, now: float = NOW, others: tuple[FlashSale, ...] = ()) -> Plan:
    seen = views(subject, [subject, *others], WIDE, {COMMERCE: live}, pod_start_seconds=0.0)
    return plan(subject, SaleObserved(WARM, services=seen), WIDE, now)


def condition(result: Plan, name: str) -> tuple[str, str, str]:
    found = next(item for item in result.status["conditions"] if item["type"] == name)
    return found["status"], found["reason"], found["message"]


@pytest.mark.parametrize(
    ("taps", "live", "prewarmed", "words"),
    [
        pytest.param(400, LiveService(4, ready=4), ("True", "CapacityReady"), "", id="all of it stands"),
        pytest.param(400, LiveService(4, ready=3), ("False", "CapacityMissing"), "3 of 4 pods of commerce", id="a pod is missing"),
        pytest.param(400, LiveService(4, problem="Deployment commerce: forbidden"), ("False", "CapacityMissing"), "forbidden",
                     id="the floor is refused"),
        pytest.param(900, LiveService(8, ready=8), ("False", "CapacityLimited"), "Sales need 9 pods of commerce",
                     id="more than there may be"),
    ],
)  # fmt: skip
def test_prewarmed_means_that_shared_services_stand_too(
    taps: int, live: LiveService, prewarmed: tuple, words: str
) -> None:
    result = planned(rush(taps), live)
    status, reason, message = condition(result, "Prewarmed")
    assert (status, reason) == prewarmed
    assert words in message


def test_a_limit_is_known_long_before_and_told_once() -> None:
    early = planned(rush(900), LiveService(2, ready=2), NOW - 60 * MINUTE)
    assert condition(early, "WithinCapacity")[:2] == ("False", "CapacityLimited")
    assert condition(early, "Prewarmed")[:2] == ("Unknown", "NotDue")
    assert [event.reason for event in early.events if event.type == "Warning"] == ["CapacityLimited"]
    known = rush(900, status=early.status)
    assert planned(known, LiveService(2, ready=2), NOW - 60 * MINUTE).events == ()


def test_two_sales_that_open_together_are_limited_together() -> None:
    other = rush(500, metadata={"name": "other", "namespace": "mall", "uid": "other"})
    assert condition(planned(rush(), LiveService(4, ready=4)), "WithinCapacity")[0] == "True"
    assert condition(planned(rush(), LiveService(8, ready=8), others=(other,)), "WithinCapacity")[0] == "False"


def test_a_room_that_may_not_grow_is_told_too() -> None:
    large = sale(capacity={"expectedViewers": 90_000})
    status, reason, message = condition(plan(large, SaleObserved(WARM), WIDE, NOW), "WithinCapacity")
    assert (status, reason) == ("False", "CapacityLimited")
    assert "fanout.maxReplicas" in message


def test_the_status_lists_what_is_held() -> None:
    subject = rush(capacity={"expectedPeakRps": 400, "expectedViewers": 9000, "headroomPercent": 0})
    assert planned(subject, LiveService(4, ready=1)).status["capacity"]["targets"] == [
        {"component": "fanout", "desired": 2, "ready": 3},
        {"component": "commerce", "desired": 4, "ready": 1},
    ]
    assert "capacity" not in planned(subject, LiveService(2, ready=2), NOW - 60 * MINUTE).status


def test_while_a_shared_pod_is_missing_the_sale_looks_again_soon() -> None:
    again = planned(rush(), LiveService(4, ready=3)).requeue_after
    assert again is not None
    assert again <= LOOK_SECONDS + 1
    before = planned(rush(), LiveService(2, ready=2), NOW - 60 * MINUTE).requeue_after
    assert before is not None
    assert NOW - 60 * MINUTE + before <= NOW - 5 * MINUTE + 1, "it wakes when its floor begins"


def test_unprepared_services_put_a_queue_before_the_sale() -> None:
    late = NOW + 9.5 * MINUTE
    (short,), (well,) = (planned(rush(), LiveService(4, ready=ready), late).publications for ready in (1, 4))
    assert '"mode": "Queue"' in (short.value or "")
    assert '"mode": "Open"' in (well.value or "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"capacity": {"commerce": {"rpsPerReplica": 0}}},
        {"capacity": {"commerce": {"rpsPerReplica": 5, "min": 3, "max": 2}}},
        {"capacity": {"committer": {"rpsPerReplica": 5}}},
        {"capacity": {"commerce": {"rpsPerReplica": 5, "least": 2}}},
    ],
    ids=["nothing a replica", "bounds that cross", "a service that is always one", "unknown field"],
)
def test_a_wrong_section_is_refused(wrong: dict) -> None:
    with pytest.raises(PlatformError, match="capacity"):
        parse(wrong)


@pytest.mark.parametrize(
    ("nodes", "balloon_class", "condition", "balloons"),
    [
        pytest.param(True, "haat-balloon", ("True", "BalloonsAllowed"), 1, id="a class"),
        pytest.param(True, "", ("False", "NoPriorityClass"), 0, id="none: they would give way to nobody"),
        pytest.param(False, "", None, 0, id="nobody asks"),
    ],
)
def test_balloons_need_a_priority_below_all_others(
    nodes: bool, balloon_class: str, condition: tuple[str, str] | None, balloons: int
) -> None:
    platform = WIDE.model_copy(update={"balloon_priority_class": balloon_class})
    subject = sale(capacity={"expectedViewers": 9000, "prewarm": {"nodes": nodes}})
    result = plan(subject, SaleObserved(WARM), platform, NOW)
    found = {item["type"]: (item["status"], item["reason"]) for item in result.status["conditions"]}
    assert found.get("NodesHeld") == condition
    assert len([item for item in result.applies if item["metadata"]["name"] == "drop-balloon"]) == balloons
    assert ("NoPriorityClass" in {event.reason for event in result.events}) is (
        condition == ("False", "NoPriorityClass")
    )
