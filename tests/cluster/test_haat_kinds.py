"""The kinds of haat.dev on a Kubernetes API: every rule has a case that passes and one that is refused with its message."""

import asyncio
import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic import DynamicClient

from tests.cluster.conftest import Api, until

CRDS = Path(__file__).resolve().parents[2] / "crds"
API = "haat.dev/v1alpha1"
Obj = dict[str, Any]


@pytest.fixture(scope="module")
def served(kubeconfig: Path) -> None:
    """The three kinds, on a cluster that may be anybody's."""
    asyncio.run(_install(kubeconfig))


async def _install(kubeconfig: Path) -> None:
    async with await config.new_client_from_config(str(kubeconfig)) as connection:
        dynamic, custom = await DynamicClient(connection), client.CustomObjectsApi(connection)
        crd = await dynamic.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
        for path in sorted(CRDS.glob("*.yaml")):
            body = yaml.safe_load(path.read_text())
            await crd.server_side_apply(body=body, field_manager="suite", force_conflicts=True)
        for plural in ("channels", "livestreams", "flashsales"):

            async def listed(plural: str = plural) -> bool:
                try:
                    await custom.list_cluster_custom_object("haat.dev", "v1alpha1", plural)
                except ApiException:
                    return False
                return True

            await until(listed)


@pytest.fixture
async def kinds(served: None, api: Api) -> Api:
    """A namespace on a cluster that serves the three kinds."""
    await api.dynamic.resources.invalidate_cache()
    await api.dynamic.resources.discover()
    return api


def channel(**spec: Any) -> Obj:
    return _object("Channel", {"displayName": "Aarong", "slug": "aarong"} | spec)


def stream(**spec: Any) -> Obj:
    return _object("LiveStream", {"channel": {"name": "aarong"}, "title": "Launch"} | spec)


def sale(**spec: Any) -> Obj:
    base = {
        "stream": {"name": "launch"},
        "startsAt": "2027-01-01T10:00:00Z",
        "endsAt": "2027-01-01T11:00:00Z",
        "items": [item()],
    }
    return _object("FlashSale", {key: value for key, value in (base | spec).items() if value is not None})


def item(**more: Any) -> Obj:
    return {"sku": "SAREE", "title": "Saree", "price": {"amount": 1000, "currency": "BDT"}, "stock": 10} | more


def linear(*slots: Obj) -> Obj:
    return channel(mode="Linear", programming={"timezone": "Asia/Dhaka", "slots": list(slots)})


def slot(**more: Any) -> Obj:
    return {"name": "news", "cron": "0 9 * * *", "duration": "1h", "vodUri": "https://example.org/a.mp4"} | more


def _object(kind: str, spec: Obj) -> Obj:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": "subject"}, "spec": spec}


ACCEPTED = {
    "channel, least": channel(),
    "private with a token": channel(playback={"visibility": "Private", "token": {"mode": "Signed"}}),
    "delivery with a weight": channel(delivery={"cdns": [{"provider": "a", "weight": 0}, {"provider": "b"}]}),
    "linear": linear(slot()),
    "slot with a stream": linear(slot(vodUri=None, streamTemplate={"title": "Evening show"})),
    "every ingest": channel(ingest={"protocols": ["RTMP", "SRT", "WHIP"], "allowedCIDRs": ["10.0.0.0/8"]}),
    "stream, least": stream(),
    "stream, bounds of its room": stream(fanout={"minReplicas": 3, "maxReplicas": 3}),
    "stream, schedule": stream(schedule={"startAt": "2027-01-01T10:00:00Z", "endAt": "2027-01-01T11:00:00Z"}),
    "stream, own edge": stream(delivery={"edge": {"minReplicas": 1, "maxReplicas": 2}}),
    "sale, least": sale(),
    "sale of a channel": sale(stream=None, channel={"name": "aarong"}),
    "sale with a list price": sale(items=[item(listPrice={"amount": 1000, "currency": "BDT"})]),
    "sale of 24 hours": sale(endsAt="2027-01-02T10:00:00Z"),
    "sale with fraud scores": sale(fraud={"mode": "Enforce", "modelRef": {"name": "fraud"}}),
    "sale with moving prices": sale(pricing={"floorPercent": 80, "ceilingPercent": 120}),
}

REFUSED = {
    "channel without a name": (channel(displayName=None), "spec.displayName"),
    "slug with capitals": (channel(slug="Aarong"), "spec.slug"),
    "slug too short": (channel(slug="a"), "spec.slug"),
    "unknown mode": (channel(mode="Sometimes"), "supported values"),
    "private without a token": (channel(playback={"visibility": "Private"}), "a Private channel needs playback tokens"),
    "delivery without weight": (
        channel(delivery={"cdns": [{"provider": "a", "weight": 0}]}),
        "at least one of delivery.cdns needs a weight above 0",
    ),
    "two of one provider": (
        channel(delivery={"cdns": [{"provider": "a"}, {"provider": "a"}]}),
        "Duplicate value",
    ),
    "linear without programme": (channel(mode="Linear"), "give programming if and only if mode is Linear"),
    "programme without linear": (
        channel(programming={"slots": [slot()]}),
        "give programming if and only if mode is Linear",
    ),
    "slot with two sources": (
        linear(slot(relayChannel="other")),
        "give exactly one of vodUri, streamTemplate and relayChannel",
    ),
    "slot with no source": (linear(slot(vodUri=None)), "give exactly one of vodUri, streamTemplate and relayChannel"),
    "country in words": (channel(playback={"geo": {"countries": ["Bangladesh"]}}), "playback.geo.countries[0]"),
    "duration in words": (
        channel(interactions={"chat": {"slowMode": "2 minutes"}}),
        "spec.interactions.chat.slowMode",
    ),
    "too many streams": (channel(quota={"maxConcurrentStreams": 101}), "spec.quota.maxConcurrentStreams"),
    "stream without a channel": (stream(channel=None), "spec.channel"),
    "room, minimum above maximum": (
        stream(fanout={"minReplicas": 4, "maxReplicas": 3}),
        "minReplicas must not exceed maxReplicas",
    ),
    "edge, minimum above maximum": (
        stream(delivery={"edge": {"minReplicas": 2, "maxReplicas": 1}}),
        "edge.minReplicas must not exceed edge.maxReplicas",
    ),
    "schedule backwards": (
        stream(schedule={"startAt": "2027-01-01T11:00:00Z", "endAt": "2027-01-01T10:00:00Z"}),
        "endAt must be after startAt",
    ),
    "three transcoders": (stream(transcode={"redundancy": 3}), "spec.transcode.redundancy"),
    "sale backwards": (sale(endsAt="2027-01-01T09:00:00Z"), "endsAt must be after startsAt"),
    "sale too long": (sale(endsAt="2027-01-03T10:00:00Z"), "a sale may last 24 hours at most"),
    "sale for both": (sale(channel={"name": "aarong"}), "give exactly one of stream and channel"),
    "sale for neither": (sale(stream=None), "give exactly one of stream and channel"),
    "sale of nothing": (sale(items=[]), "spec.items"),
    "price above list price": (
        sale(items=[item(listPrice={"amount": 999, "currency": "BDT"})]),
        "price must not exceed listPrice",
    ),
    "article twice": (sale(items=[item(), item()]), "Duplicate value"),
    "negative stock": (sale(items=[item(stock=-1)]), "spec.items[0].stock"),
    "currency in words": (sale(items=[item(price={"amount": 1, "currency": "taka"})]), "spec.items[0].price.currency"),
    "overselling": (sale(reservation={"oversell": True}), "overselling is not supported: the ledger forbids it"),
    "fraud without a model": (sale(fraud={"mode": "Monitor"}), "fraud.mode Monitor and Enforce need fraud.modelRef"),
    "prices upside down": (
        sale(pricing={"floorPercent": 100, "ceilingPercent": 90}),
        "pricing.floorPercent must not exceed ceilingPercent",
    ),
}


@pytest.mark.parametrize("obj", [pytest.param(obj, id=name) for name, obj in ACCEPTED.items()])
async def test_accepted(kinds: Api, obj: Obj) -> None:
    created = await kinds.create(_pruned(obj))
    assert created["metadata"]["generation"] == 1


@pytest.mark.parametrize(("obj", "message"), [pytest.param(*case, id=name) for name, case in REFUSED.items()])
async def test_refused_with_its_reason(kinds: Api, obj: Obj, message: str) -> None:
    with pytest.raises(ApiException) as refusal:
        await kinds.create(_pruned(obj))
    assert refusal.value.status == 422
    assert message in str(refusal.value.body)


CHANGES = {
    "slug": (channel(), {"slug": "other"}, "slug is immutable"),
    "channel of a stream": (stream(), {"channel": {"name": "other"}}, "channel is immutable"),
    "placement of a stream": (
        stream(transcode={"placement": "Dedicated"}),
        {"transcode": {"placement": "Pooled"}},
        "transcode.placement is immutable",
    ),
    "an ended stream": (stream(desiredState="Ended"), {"desiredState": "Auto"}, "an ended stream stays ended"),
    "a cancelled sale": (sale(state="Cancelled"), {"state": "Scheduled"}, "a cancelled sale stays cancelled"),
}


@pytest.mark.parametrize(
    ("before", "change", "message"), [pytest.param(*case, id=name) for name, case in CHANGES.items()]
)
async def test_what_never_changes(kinds: Api, before: Obj, change: Obj, message: str) -> None:
    await kinds.create(before)
    with pytest.raises(ApiException) as refusal:
        await kinds.patch(before, {"spec": change})
    assert refusal.value.status == 422
    assert message in str(refusal.value.body)


FROZEN = {
    "start": ({"startsAt": "2027-01-01T10:30:00Z"}, "startsAt is frozen once the sale has opened"),
    "article gone": ({"items": [item(sku="OTHER")]}, "items may be added and stock may grow"),
    "less stock": ({"items": [item(stock=9)]}, "items may be added and stock may grow"),
    "price": ({"items": [item(price={"amount": 1, "currency": "BDT"})]}, "price of an item is frozen"),
}


@pytest.mark.parametrize(("change", "message"), [pytest.param(*case, id=name) for name, case in FROZEN.items()])
async def test_a_sale_is_free_before_its_opening_and_frozen_after(kinds: Api, change: Obj, message: str) -> None:
    created = sale()
    await kinds.create(created)
    await kinds.patch(created, {"spec": change})
    await kinds.patch(created, {"spec": sale()["spec"]})
    await kinds.status(created, {"status": {"phase": "Active", "startedAt": "2027-01-01T10:00:00Z"}})
    with pytest.raises(ApiException) as refusal:
        await kinds.patch(created, {"spec": change})
    assert refusal.value.status == 422
    assert message in str(refusal.value.body)
    grown = await kinds.patch(created, {"spec": {"items": [item(stock=11), item(sku="EXTRA")]}})
    assert len(grown["spec"]["items"]) == 2


async def test_defaults_are_filled_in_and_unknown_fields_go(kinds: Api) -> None:
    obj = stream(fanout={"maxReplicas": 7}, typo=1)
    created = await kinds.create(obj)
    assert created["spec"]["fanout"]["maxReplicas"] == 7
    assert created["spec"]["fanout"]["minReplicas"] == 1
    assert created["spec"]["schedule"]["maxDuration"] == "12h"
    assert "typo" not in created["spec"]


async def test_a_sale_of_500_articles_may_be_changed(kinds: Api) -> None:
    """The rules over pairs of articles stay inside the cost that an API server allows."""
    items = [item(sku=f"SKU-{number}") for number in range(500)]
    big = sale(items=items)
    await kinds.create(big)
    await kinds.status(big, {"status": {"phase": "Active", "startedAt": "2027-01-01T10:00:00Z"}})
    grown = copy.deepcopy(items)
    grown[499]["stock"] = 20
    changed = await asyncio.wait_for(kinds.patch(big, {"spec": {"items": grown}}), 30)
    assert changed["spec"]["items"][499]["stock"] == 20


async def test_short_names_categories_and_columns(kinds: Api, kubectl: Any) -> None:
    await kinds.create(channel())
    await kinds.create(stream())
    await kinds.create(sale())
    assert "NAME" in kubectl("get", "live").stdout
    assert kubectl("get", "lch").stdout.split()[:6] == ["NAME", "SLUG", "MODE", "PHASE", "READY", "STREAMS"]
    assert kubectl("get", "lstream").stdout.split()[:6] == ["NAME", "CHANNEL", "PHASE", "READY", "VIEWERS", "FANOUT"]
    header = kubectl("get", "fsale").stdout.split()[:7]
    assert header == ["NAME", "PHASE", "STARTS", "READY", "SOLD", "LEFT", "AGE"]
    assert "ENDS" in kubectl("get", "fsale", "-o", "wide").stdout
    assert "Who may buy" in kubectl("explain", "flashsale.spec.admission.mode").stdout


def _pruned(obj: Any) -> Any:
    if isinstance(obj, dict):
        return {key: _pruned(value) for key, value in obj.items() if value is not None}
    return [_pruned(part) for part in obj] if isinstance(obj, list) else obj
