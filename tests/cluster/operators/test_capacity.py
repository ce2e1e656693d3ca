"""Shared services are kept at the floors of sales: one field, one writer, and back to what stood before."""

import time
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import yaml

from operators.core.times import rfc3339
from tests.cluster.operators.conftest import World
from tests.support.operators import API, PLATFORM, Operator, Tenant, channel, running, stream, tenant
from tests.support.servers import eventually

DEPLOYMENT = ("apps/v1", "Deployment")
HPA = ("autoscaling/v2", "HorizontalPodAutoscaler")
MANAGER = "haat-operators-capacity"
BOUNDS = {"rpsPerReplica": 100, "min": 2, "max": 6}


def service(name: str) -> dict[str, Any]:
    """A Deployment as the chart makes it: without a number of replicas."""
    labels = {"app.kubernetes.io/name": name}
    container = {"name": name, "image": "haat/workloads:dev"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def autoscaler(name: str, of: str) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": of}
    spec = {"scaleTargetRef": target, "maxReplicas": 9}
    return {"apiVersion": HPA[0], "kind": HPA[1], "metadata": {"name": name}, "spec": spec}


def sale(name: str, rps: int) -> dict[str, Any]:
    """A sale that opens in ten minutes, so that its capacity is due now."""
    now = time.time()
    item = {"sku": "SAREE", "title": "Saree", "price": {"amount": 1000, "currency": "BDT"}, "stock": 20}
    spec = {
        "stream": {"name": "launch"},
        "startsAt": rfc3339(now + 600),
        "endsAt": rfc3339(now + 1200),
        "items": [item],
        "capacity": {"expectedPeakRps": rps, "headroomPercent": 0},
    }
    return {"apiVersion": API, "kind": "FlashSale", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def operator(world: World) -> Iterator[Operator]:
    """A replica whose platform file has a capacity section."""
    made = world.operator("floors", HAAT_LEADER_ELECTION="false", HAAT_RESYNC_SECONDS="3600")
    capacity = {"commerce": BOUNDS, "edge": BOUNDS | {"autoscaler": "edge-hpa"}, "identity": BOUNDS}
    made.platform_file.write_text(yaml.safe_dump(PLATFORM | {"capacity": capacity}))
    with running(made):
        yield made


@pytest.fixture
async def system(world: World) -> AsyncIterator[Tenant]:
    """The platform's namespace."""
    async with tenant(world.server.kubeconfig, "haat-system") as made:
        yield made


async def number(system: Tenant, kind: tuple[str, str], name: str, field: str, wanted: int) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        found = await system.get(*kind, name)
        return found if found and found["spec"].get(field) == wanted else None

    return await eventually(there, seconds=30)  # type: ignore[return-value]


def owned(live: dict[str, Any]) -> Any:
    """The fields of `live` that the floor's manager has."""
    return [item["fieldsV1"] for item in live["metadata"]["managedFields"] if item["manager"] == MANAGER]


async def test_what_stands_without_a_sale_is_the_least(shop: Tenant, system: Tenant, world: World) -> None:
    await system.create(service("identity"))
    await shop.create(channel(slug=f"c-{uuid.uuid4().hex[:8]}"))
    alone = world.operator("alone", HAAT_LEADER_ELECTION="false", HAAT_RESYNC_SECONDS="3600")
    alone.platform_file.write_text(yaml.safe_dump(PLATFORM | {"capacity": {"identity": BOUNDS}}))
    with running(alone):
        await number(system, DEPLOYMENT, "identity", "replicas", 2)
    await system.delete(*DEPLOYMENT, "identity")


async def test_floors_come_and_go_with_a_sale(shop: Tenant, system: Tenant, operator: Operator) -> None:
    await system.create(service("commerce"))
    await system.create(service("edge"))
    await system.create(autoscaler("edge-hpa", "edge"))
    await shop.create(channel(slug=f"c-{uuid.uuid4().hex[:8]}"))
    await shop.create(stream())
    await shop.create(sale("drop", 400))
    raised = await number(system, DEPLOYMENT, "commerce", "replicas", 4)
    assert owned(raised) == [{"f:spec": {"f:replicas": {}}}]
    assert raised["spec"]["template"]["spec"]["containers"][0]["image"] == "haat/workloads:dev"
    scaled = await number(system, HPA, "edge-hpa", "minReplicas", 4)
    assert scaled["spec"]["maxReplicas"] == 9
    left = await system.get(*DEPLOYMENT, "edge")
    assert left is not None
    assert left["spec"]["replicas"] == 1, "what an autoscaler owns is left to it"

    async def told() -> dict[str, Any] | None:
        found = await shop.condition("FlashSale", "drop", "Prewarmed")
        return found if found.get("reason") == "CapacityMissing" else None

    message = (await eventually(told, seconds=20))["message"]  # type: ignore[index]
    assert "0 of 4 pods of commerce" in message
    assert "Deployment identity does not exist" in message
    assert (await shop.condition("FlashSale", "drop", "WithinCapacity"))["status"] == "True"

    await shop.create(sale("rush", 400))
    await number(system, DEPLOYMENT, "commerce", "replicas", 6)

    async def limited() -> bool:
        return (await shop.condition("FlashSale", "rush", "WithinCapacity")).get("reason") == "CapacityLimited"

    await eventually(limited, seconds=20)
    assert "CapacityLimited" in await shop.events("rush")

    for name in ("drop", "rush"):
        await shop.delete(API, "FlashSale", name)
    await number(system, DEPLOYMENT, "commerce", "replicas", 2)
    await number(system, HPA, "edge-hpa", "minReplicas", 2)
