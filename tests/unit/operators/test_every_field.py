"""Every field of a spec has an effect: changing it changes a plan, a publication or an acceptance.

A field without one would be a promise that nobody keeps. Those that are meant to have none here are listed with the
reason; the list is exact, so that it cannot outlive it.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from operators.api import Channel, FlashSale, LiveStream
from operators.api.base import seconds
from operators.api.channel import ChannelSpec
from operators.api.flashsale import FlashSaleSpec
from operators.api.livestream import LiveStreamSpec
from operators.channel.plan import plan as plan_channel
from operators.core.plan import Plan
from tests.unit.operators.builders import NOW, channel
from tests.unit.operators.channel.making import seen
from tests.unit.operators.field_worlds import (
    EMPTY_ROOM,
    LINEAR,
    OF_CHANNEL,
    OWN_KEY,
    POOLED,
    RELAYING,
    RICH_CHANNEL,
    RICH_SALE,
    RICH_STREAM,
    SHOWING,
    WIDE,
    channel_plans,
    sale_plans,
    stream_plans,
)
from tests.unit.operators.fields import Spec, changed, leaves, other, value_at

WITHOUT_EFFECT: dict[str, dict[str, str]] = {
    "Channel": {
        "restream[].urlSecretRef.name": "a publish URL is a secret: channel.json gives the names of restreams alone",
    },
    "LiveStream": {
        "catalogRef.name": "the reconcile reads that ConfigMap; the plan gets what it says as observed.catalog",
    },
    "FlashSale": {
        "reservation.oversell": "the API refuses true: the ledger forbids it",
        "settlement.exportRef.name": "the platform configuration has no object stores yet, so there is nowhere to put it",
    },
}
"""Kind -> path -> why the operators have nothing to do with it."""

OTHERS: dict[str, Any] = {
    "pull.uri": "srt://origin.example:9000",
    "autoscaling.provider": "HPA",
    "connectionsPerReplica": 200,
    "expectedPeakRps": 5000,
    "expectedViewers": 5000,
    "headroomPercent": 90,
    "keyRotation.interval": "400h",
    "minReadyPercent": 20,
    "slots.priority": 9,
    "targetUtilizationPercent": 40,
    "allowedCIDRs": ["192.0.2.0/24"],
    "allowedOrigins": ["https://other.example"],
    "announceBefore": ["2m"],
    "bindTo": ["UserAgent"],
    "catalogRef.name": "other",
    "codecs": ["AV1"],
    "countries": ["NP"],
    "cpu": "700m",
    "cron": "30 9 * * *",
    "currency": "INR",
    "effect": "NoExecute",
    "endAt": "2027-01-15T21:00:00Z",
    "endsAt": "2027-01-15T09:30:00Z",
    "languages": ["hi"],
    "maxHeight": 480,
    "memory": "900Mi",
    "nodeSelector": {"disk": "slow"},
    "operator": "Exists",
    "podAnnotations": {"note": "other"},
    "podLabels": {"team": "other"},
    "protocols": ["SRT"],
    "regions": ["eu"],
    "segments": ["new"],
    "slateUri": "https://films.example/other-slate.mp4",
    "startAt": "2027-01-15T08:30:00Z",
    "startsAt": "2027-01-15T08:20:00Z",
    "systems": ["Widevine"],
    "tags": ["other"],
    "thumbnailUri": "https://pictures.example/other.jpg",
    "timezone": "Asia/Dhaka",
    "displayTimezone": "Asia/Dhaka",
    "vodUri": "https://films.example/other.mp4",
    "whenUnsatisfiable": "DoNotSchedule",
}
"""End of a path -> another value, where the kind of the value does not tell one."""


def another(spec: Spec, path: str, info: Any) -> Any:
    """Another value for a field that has one."""
    value, plain = value_at(spec, path), path.replace("[]", "")
    for ending, wanted in OTHERS.items():
        if plain == ending or plain.endswith(f".{ending}"):
            return wanted
    try:
        return other(value, info)
    except LookupError:
        if not isinstance(value, str):
            raise
    if re.fullmatch(r"(\d+h)?(\d+m)?(\d+s)?", value) and value:
        return f"{int(seconds(value)) + 61}s"
    return f"{value}x"


def shown(plan: Plan) -> tuple[Any, ...]:
    """What anybody outside could notice of a plan."""
    return (
        plan.patches, plan.wish, plan.applies, plan.deletes, plan.publications, plan.status, plan.events,
        plan.requeue_after, plan.release, plan.delete_self,
    )  # fmt: skip


KINDS: dict[str, tuple[type, list[Spec], Callable[[Spec], Iterator[Plan]]]] = {
    LiveStream.kind_name: (LiveStreamSpec, [RICH_STREAM, POOLED, EMPTY_ROOM], stream_plans),
    FlashSale.kind_name: (FlashSaleSpec, [RICH_SALE, OF_CHANNEL], sale_plans),
    Channel.kind_name: (ChannelSpec, [RICH_CHANNEL, OWN_KEY, LINEAR, SHOWING, RELAYING], channel_plans),
}
FIELDS = [(kind, path) for kind, (model, _, _) in KINDS.items() for path, _ in leaves(model)]


def effect(kind: str, path: str) -> bool:
    """Whether changing the field changes anything in any world. LookupError when no spec here has it."""
    model, specs, plans = KINDS[kind]
    info = dict(leaves(model))[path]
    having = [spec for spec in specs if _has(spec, path)]
    if not having:
        raise LookupError(f"{kind}: no spec of this test has {path}")
    return any(
        shown(before) != shown(now)
        for spec in having
        for before, now in zip(plans(spec), plans(changed(spec, path, another(spec, path, info))), strict=True)
    )


def _has(spec: Spec, path: str) -> bool:
    try:
        return value_at(spec, path) is not None
    except KeyError:
        return False


@pytest.mark.parametrize(("kind", "path"), FIELDS, ids=[f"{kind}-{path}" for kind, path in FIELDS])
def test_a_field_has_an_effect_or_a_reason_to_have_none(kind: str, path: str) -> None:
    assert effect(kind, path) is (path not in WITHOUT_EFFECT[kind])


def test_the_list_names_fields_that_exist_and_gives_a_reason_for_each() -> None:
    for kind, reasons in WITHOUT_EFFECT.items():
        paths = {path for path, _ in leaves(KINDS[kind][0])}
        assert reasons.keys() <= paths
        assert all(len(reason.split()) > 3 for reason in reasons.values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_spec_has_the_same_plans(kind: str) -> None:
    """The control: without a change there is no difference to be seen."""
    _, specs, plans = KINDS[kind]
    for spec in specs:
        assert [shown(item) for item in plans(spec)] == [shown(item) for item in plans(spec)]


def test_the_worlds_are_what_they_are_meant_to_be() -> None:
    phases = [item.status["phase"] for item in stream_plans(RICH_STREAM)]
    assert {"Scheduled", "Live", "Interrupted", "Draining", "Ended"} <= set(phases)
    assert {item.status["phase"] for item in sale_plans(RICH_SALE)} >= {
        "Scheduled",
        "Prewarming",
        "Cooldown",
        "Completed",
    }
    assert plan_channel(Channel.model_validate({"metadata": {"name": "a"}, "spec": RICH_CHANNEL}), seen(), WIDE, NOW)
    assert channel().spec.slug == "aarong"
