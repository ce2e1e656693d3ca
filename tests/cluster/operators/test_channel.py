"""What a tenant sees of a Channel through the Kubernetes API."""

import asyncio
import base64
import hashlib
import json
import uuid

import pytest
from redis.asyncio import Redis

from tests.cluster.operators.conftest import World
from tests.support.operators import Operator, Tenant, channel, stream
from tests.support.servers import eventually

HAAT = "haat.dev/v1alpha1"
FILM = {"name": "film", "cron": "*/30 * * * *", "duration": "10m", "vodUri": "https://films.example/one.mp4"}
SHOW = {"name": "show", "cron": "* * * * *", "duration": "1m", "priority": 1, "streamTemplate": {"title": "Now"}}


def slug() -> str:
    return f"c-{uuid.uuid4().hex[:8]}"


async def key(shop: Tenant, name: str) -> str:
    secret = await shop.get("v1", "Secret", name)
    return base64.b64decode(secret["data"]["stream-key"]).decode() if secret else ""


async def condition(shop: Tenant, name: str, kind: str, reason: str) -> dict:
    async def there() -> dict | None:
        found = await shop.condition("Channel", name, kind)
        return found if found.get("reason") == reason else None

    return await eventually(there, seconds=20)  # type: ignore[return-value]


async def test_a_channel_becomes_ready_with_its_children(shop: Tenant, operator: Operator) -> None:
    await shop.create(channel(slug=slug(), playback={"token": {"mode": "Signed"}}))
    await condition(shop, "aarong", "Ready", "Ready")
    for version, kind, name in (
        ("v1", "Secret", "aarong-channel-key"),
        ("v1", "Secret", "aarong-playback-keys"),
        ("v1", "ConfigMap", "aarong-channel"),
        ("v1", "ServiceAccount", "aarong-channel"),
        ("rbac.authorization.k8s.io/v1", "Role", "aarong-channel"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding", "aarong-channel"),
        ("networking.k8s.io/v1", "NetworkPolicy", "aarong-default-deny"),
    ):
        assert await shop.get(version, kind, name), name


async def test_a_key_is_rotated_on_request_and_both_work_meanwhile(shop: Tenant, operator: Operator) -> None:
    await shop.create(channel(slug=slug()))
    await condition(shop, "aarong", "Ready", "Ready")
    before = await key(shop, "aarong-channel-key")
    await shop.patch(HAAT, "Channel", "aarong", {"metadata": {"annotations": {"haat.dev/rotate-key": "1"}}})
    await condition(shop, "aarong", "KeysReady", "Rotating")
    coming = await key(shop, "aarong-channel-key-next")
    assert coming not in ("", before)
    assert await key(shop, "aarong-channel-key") == before
    past = {"metadata": {"annotations": {"haat.dev/created-at": "2020-01-01T00:00:00Z"}}}
    await shop.patch("v1", "Secret", "aarong-channel-key-next", past)
    await shop.patch(HAAT, "Channel", "aarong", {"metadata": {"annotations": {"look": "again"}}})

    async def taken() -> bool:
        gone = await shop.get("v1", "Secret", "aarong-channel-key-next") is None
        return gone and await key(shop, "aarong-channel-key") == coming

    await eventually(taken, seconds=20)
    assert "KeyRotated" in await shop.events("aarong")


async def test_another_key_in_the_owners_secret_reaches_the_routes_and_the_old_one_loses_its(
    shop: Tenant, operator: Operator, world: World
) -> None:
    def secret(text: str) -> dict:
        data = {"stream-key": base64.b64encode(text.encode()).decode()}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}, "data": data}

    first, second = f"first-{uuid.uuid4().hex}", f"second-{uuid.uuid4().hex}"
    await shop.create(secret(first))
    await shop.create(channel(slug=slug(), ingest={"keySecretRef": {"name": "mine"}}))
    await shop.create(stream())
    async with Redis.from_url(world.redis.url, decode_responses=True) as redis:

        async def routed(text: str) -> bool:
            return bool(await redis.hexists("haat:ingest", hashlib.sha256(text.encode()).hexdigest()))

        await eventually(lambda: routed(first), seconds=20)
        await shop.delete("v1", "Secret", "mine")
        await shop.create(secret(second))
        await shop.patch(HAAT, "Channel", "aarong", {"metadata": {"annotations": {"look": "now"}}})

        async def moved() -> bool:
            return await routed(second) and not await routed(first)

        await eventually(moved, seconds=20)


async def test_the_younger_of_two_channels_with_one_slug_is_refused(shop: Tenant, operator: Operator) -> None:
    same = slug()
    await shop.create(channel(slug=same))
    await condition(shop, "aarong", "Ready", "Ready")
    await asyncio.sleep(1.1)  # creation times have whole seconds
    younger = channel(slug=same)
    younger["metadata"]["name"] = "younger"
    await shop.create(younger)
    told = await condition(shop, "younger", "Accepted", "SlugTaken")
    assert "aarong" in told["message"]


@pytest.fixture
async def tele(shop: Tenant, operator: Operator) -> Tenant:
    """A namespace with a Linear channel."""
    await shop.create(channel(slug=slug(), mode="Linear", programming={"slots": [FILM, SHOW], "horizon": "1h"}))
    return shop


async def test_a_linear_channel_makes_its_playout_and_streams(tele: Tenant) -> None:
    await eventually(lambda: tele.get("apps/v1", "Deployment", "aarong-playout"), seconds=20)
    await condition(tele, "aarong", "ProgrammingReady", "PlayoutNotReady")
    schedule = await tele.get("v1", "ConfigMap", "aarong-schedule")
    assert schedule is not None
    programmes = json.loads(schedule["data"]["schedule.json"])["programmes"]
    assert {item["kind"] for item in programmes} == {"stream"}
    output = await eventually(lambda: tele.get(HAAT, "LiveStream", "aarong-linear"), seconds=20)
    assert output["metadata"]["ownerReferences"][0]["kind"] == "Channel"
    showings = [item["source"].partition("/")[2] for item in programmes]
    made = [item["metadata"]["name"] for item in await tele.list(HAAT, "LiveStream")]
    assert set(made) - {"aarong-linear"}
    assert set(made) - {"aarong-linear"} <= set(showings)


async def test_a_settled_linear_channel_costs_no_write(shop: Tenant, world: World) -> None:
    busy = world.operator("busy-channel", HAAT_LEADER_ELECTION="false", HAAT_RESYNC_SECONDS="0.3")
    await shop.create(channel(slug=slug(), mode="Linear", programming={"slots": [FILM]}, playback={"token": {"mode": "Signed"}}))  # fmt: skip
    busy.start()
    try:
        await condition(shop, "aarong", "ProgrammingReady", "PlayoutNotReady")
        await eventually(lambda: busy.metric("haat_reconcile_total"), seconds=20)
        await asyncio.sleep(3)
        writes, rounds = await busy.metric("haat_apply_total"), await busy.metric("haat_reconcile_total")

        async def later() -> bool:
            return await busy.metric("haat_reconcile_total") >= rounds + 20

        await eventually(later, seconds=30)
        assert await busy.metric("haat_apply_total") == writes
    finally:
        busy.stop()


async def test_a_deleted_channel_leaves_nothing(tele: Tenant) -> None:
    await eventually(lambda: tele.get("apps/v1", "Deployment", "aarong-playout"), seconds=20)
    await tele.delete(HAAT, "Channel", "aarong")

    async def gone() -> bool:
        return await tele.get(HAAT, "Channel", "aarong") is None

    await eventually(gone, seconds=20)
