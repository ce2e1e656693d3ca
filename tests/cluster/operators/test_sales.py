"""A sale before it opens: its articles and its stream may still be replaced."""

import json
import time
import uuid
from typing import Any

import pytest
from redis.asyncio import Redis

from operators.core.times import rfc3339
from tests.cluster.operators.conftest import World
from tests.support.operators import API, Operator, Tenant, channel, stream
from tests.support.servers import eventually


def article(sku: str, stock: int = 20) -> dict[str, Any]:
    return {"sku": sku, "title": sku.title(), "price": {"amount": 1000, "currency": "BDT"}, "stock": stock}


def sale(*articles: dict[str, Any]) -> dict[str, Any]:
    """A sale that opens in an hour."""
    now = time.time()
    spec = {
        "stream": {"name": "launch"},
        "startsAt": rfc3339(now + 3600),
        "endsAt": rfc3339(now + 4200),
        "items": list(articles),
    }
    return {"apiVersion": API, "kind": "FlashSale", "metadata": {"name": "drop"}, "spec": spec}


@pytest.fixture
async def shop(shop: Tenant, operator: Operator) -> Tenant:
    """A namespace with a stream and a sale."""
    await shop.create(channel(slug=f"c-{uuid.uuid4().hex[:8]}"))
    await shop.create(stream())
    await shop.create(sale(article("SAREE")))
    await told(shop, "TargetsResolved", "Resolved")
    return shop


async def told(shop: Tenant, condition: str, reason: str) -> None:
    async def there() -> bool:
        return (await shop.condition("FlashSale", "drop", condition)).get("reason") == reason

    await eventually(there, seconds=20)


async def config_maps(shop: Tenant) -> set[str]:
    names = {item["metadata"]["name"] for item in await shop.list("v1", "ConfigMap")}
    return {name for name in names if name.startswith("drop-sale-")}


async def published(world: World, shop: Tenant) -> dict[str, Any]:
    found = await shop.get(API, "FlashSale", "drop")
    assert found is not None
    async with Redis.from_url(world.redis.url, decode_responses=True) as redis:
        text = await redis.hget("haat:sales", found["metadata"]["uid"])
    body: dict[str, Any] = json.loads(text) if text else {}
    return body


async def test_articles_are_replaced_with_a_new_generation(shop: Tenant, world: World) -> None:
    await eventually(lambda: config_maps(shop), seconds=20)
    assert await config_maps(shop) == {"drop-sale-1"}
    before = await published(world, shop)
    assert [item["sku"] for item in before["items"]] == ["SAREE"]
    await shop.patch(API, "FlashSale", "drop", {"spec": {"items": [article("KURTA", 5)]}})

    async def replaced() -> bool:
        body = await published(world, shop)
        return [item["sku"] for item in body["items"]] == ["KURTA"] and await config_maps(shop) == {"drop-sale-2"}

    await eventually(replaced, seconds=20)
    after = await published(world, shop)
    assert (after["uid"], after["generation"]) == (before["uid"], 2)


async def test_a_stream_that_is_made_anew_before_the_opening_takes_the_sale_over(shop: Tenant, world: World) -> None:
    fanout = await eventually(lambda: shop.get("apps/v1", "Deployment", "launch-fanout"), seconds=20)
    first = fanout["metadata"]["ownerReferences"][0]["uid"]
    await shop.delete(API, "LiveStream", "launch")
    await told(shop, "TargetsResolved", "StreamNotFound")
    assert await config_maps(shop) == {"drop-sale-1"}, "what was handed over stays while its stream is away"
    assert (await published(world, shop))["stream"] == f"{shop.namespace}/launch"
    await _gone(shop)
    await shop.create(stream(title="Again"))
    await told(shop, "TargetsResolved", "Resolved")

    async def anew() -> bool:
        found = await shop.get("apps/v1", "Deployment", "launch-fanout")
        return bool(found) and found["metadata"]["ownerReferences"][0]["uid"] != first

    await eventually(anew, seconds=30)

    async def with_the_sale() -> bool:
        live = await shop.get(API, "LiveStream", "launch")
        return bool(live) and (live.get("status") or {}).get("activeSales") == ["drop"]

    await eventually(with_the_sale, seconds=20)


async def _gone(shop: Tenant) -> None:
    """No garbage collector runs here, so the children of the first stream are taken away by hand."""
    for version, kind, name in (
        ("apps/v1", "Deployment", "launch-fanout"),
        ("apps/v1", "Deployment", "launch-transcoder"),
    ):
        if await shop.get(version, kind, name):
            await shop.delete(version, kind, name)
    for version, kind in (
        ("v1", "Service"), ("v1", "ConfigMap"), ("v1", "Secret"), ("v1", "ServiceAccount"),
        ("policy/v1", "PodDisruptionBudget"), ("networking.k8s.io/v1", "Ingress"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
    ):  # fmt: skip
        for item in await shop.list(version, kind):
            if item["metadata"]["name"].startswith("launch-"):
                await shop.delete(version, kind, item["metadata"]["name"])
