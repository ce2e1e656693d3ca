"""What a tenant sees of the operators through the Kubernetes API, good input and bad."""

import asyncio
import uuid

import pytest
import yaml

from tests.cluster.operators.conftest import World
from tests.support.operators import Operator, Tenant, channel, stream
from tests.support.servers import eventually

DEPLOYMENT = ("apps/v1", "Deployment")


@pytest.fixture
async def shop(shop: Tenant) -> Tenant:
    """A namespace with a channel."""
    await shop.create(channel(slug=f"c-{uuid.uuid4().hex[:8]}"))
    return shop


async def reason(shop: Tenant, name: str, condition: str, wanted: str, kind: str = "LiveStream") -> dict:
    async def there() -> dict | None:
        found = await shop.condition(kind, name, condition)
        return found if found.get("reason") == wanted else None

    return await eventually(there, seconds=20)  # type: ignore[return-value]


async def test_a_stream_gets_its_children_and_its_story_is_told(shop: Tenant, operator: Operator) -> None:
    await shop.create(stream())
    for name in ("launch-transcoder", "launch-fanout"):
        await eventually(lambda name=name: shop.get(*DEPLOYMENT, name), seconds=20)
    await reason(shop, "launch", "Provisioned", "ChildrenExist")
    await reason(shop, "launch", "Ready", "PodsNotReady")
    assert "PhaseProvisioning" in await shop.events("launch")


async def test_drift_is_repaired(shop: Tenant, operator: Operator) -> None:
    await shop.create(stream())
    await reason(shop, "launch", "Provisioned", "ChildrenExist")
    await shop.patch("v1", "ConfigMap", "launch-stream", {"data": {"stream.json": "broken"}})
    await shop.delete("v1", "Service", "launch-fanout")

    async def repaired() -> bool:
        config = await shop.get("v1", "ConfigMap", "launch-stream")
        service = await shop.get("v1", "Service", "launch-fanout")
        return bool(config and service and config["data"]["stream.json"] != "broken")

    await eventually(repaired, seconds=20)


async def test_a_settled_stream_costs_no_write(shop: Tenant, world: World) -> None:
    """A second replica that resyncs all the time: after the first round it writes nothing at all."""
    busy = world.operator("busy", HAAT_LEADER_ELECTION="false", HAAT_RESYNC_SECONDS="0.3")
    await shop.create(stream("settled"))
    busy.start()
    try:
        await reason(shop, "settled", "Provisioned", "ChildrenExist")
        await eventually(lambda: busy.metric("haat_reconcile_total"), seconds=20)
        await asyncio.sleep(2)
        writes, rounds = await busy.metric("haat_apply_total"), await busy.metric("haat_reconcile_total")

        async def later() -> bool:
            return await busy.metric("haat_reconcile_total") >= rounds + 20

        await eventually(later, seconds=30)
        assert await busy.metric("haat_apply_total") == writes
    finally:
        busy.stop()


async def test_a_child_of_somebody_else_is_not_taken(shop: Tenant, operator: Operator) -> None:
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "taken-fanout"},
              "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 8080}]}}  # fmt: skip
    await shop.create(theirs)
    await shop.create(stream("taken"))
    told = await reason(shop, "taken", "Provisioned", "ChildConflict")
    assert "taken-fanout" in told["message"]
    assert (await shop.condition("LiveStream", "taken", "Ready"))["reason"] == "ChildConflict"
    assert "ChildConflict" in await shop.events("taken")
    kept = await shop.get("v1", "Service", "taken-fanout")
    assert kept is not None
    assert kept["spec"]["selector"] == {"app": "theirs"}


@pytest.mark.parametrize(
    ("spec", "expected", "words"),
    [
        pytest.param({"channel": {"name": "nobody"}}, "ChannelNotFound", "nobody", id="channel"),
        pytest.param({"encoding": {"ladderRef": {"name": "none"}}}, "LadderNotFound", "known: default", id="ladder"),
        pytest.param(
            {"models": [{"role": "Recommendation", "modelRef": {"name": "none"}}]}, "ModelNotFound", "none", id="model"
        ),
        pytest.param(
            {"transcode": {"placement": "Pooled", "poolRef": {"name": "none"}}}, "PoolNotFound", "known", id="pool"
        ),
    ],
)
async def test_a_reference_that_leads_nowhere(
    shop: Tenant, operator: Operator, spec: dict, expected: str, words: str
) -> None:
    await shop.create(stream("lost", **spec))
    told = await reason(shop, "lost", "Accepted", expected)
    assert words in told["message"]
    assert expected in await shop.events("lost")


async def test_a_quota_of_the_channel_is_a_reason(shop: Tenant, operator: Operator) -> None:
    await shop.patch("haat.dev/v1alpha1", "Channel", "aarong", {"spec": {"quota": {"maxConcurrentStreams": 1}}})
    await shop.create(stream("first"))
    await reason(shop, "first", "Accepted", "Accepted")
    await asyncio.sleep(1.1)  # creation times have whole seconds, and the older stream has the quota
    await shop.create(stream("second"))
    told = await reason(shop, "second", "Accepted", "QuotaExceeded")
    assert "first" in told["message"]


async def test_an_object_of_another_version_is_refused_with_its_field(world: World, operator: Operator) -> None:
    """A definition without our rules lets anything through: it must end in a condition, and disturb nobody else."""
    from tests.support.operators import tenant

    async with tenant(world.server.kubeconfig, f"shop-{uuid.uuid4().hex[:8]}") as shop:
        resource = await shop.dynamic.resources.get(
            api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition"
        )
        live = (await resource.get(name="livestreams.haat.dev")).to_dict()
        loose = live["spec"]["versions"]
        spec = loose[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        loose[0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
        }
        media = "application/merge-patch+json"
        await resource.patch(name="livestreams.haat.dev", body={"spec": {"versions": loose}}, content_type=media)
        try:
            await shop.create(channel(slug=f"c-{uuid.uuid4().hex[:8]}"))
            await eventually(lambda: _created(shop, {"fanout": {"minReplicas": "many"}}), seconds=10)
            told = await reason(shop, "odd", "Accepted", "InvalidSpec")
            assert "fanout.minReplicas" in told["message"]
            assert "InvalidSpec" in await shop.events("odd")
            await shop.create(stream("even"))
            await reason(shop, "even", "Provisioned", "ChildrenExist")
        finally:
            await shop.delete("haat.dev/v1alpha1", "LiveStream", "odd")
            loose[0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = spec
            await resource.patch(name="livestreams.haat.dev", body={"spec": {"versions": loose}}, content_type=media)


async def _created(shop: Tenant, spec: dict) -> bool:
    """The looser definition takes a moment to be in force."""
    from kubernetes.aio.client.exceptions import ApiException

    try:
        await shop.create(stream("odd", **spec))
    except ApiException as error:
        return error.status == 409
    return True


async def test_a_wrong_platform_file_is_told_and_the_last_good_one_stays(shop: Tenant, operator: Operator) -> None:
    good = operator.platform_file.read_text()
    document = yaml.safe_load(good)
    try:
        operator.platform_file.write_text(yaml.safe_dump(document | {"interruptAfterSecond": 7}))
        await eventually(lambda: _is(operator, "haat_platform_config_valid", 0), seconds=15)
        await shop.create(stream("careful"))
        await reason(shop, "careful", "Provisioned", "ChildrenExist")
        operator.platform_file.write_text(yaml.safe_dump(document | {"interruptAfterSeconds": 7}))
        await eventually(lambda: _is(operator, "haat_platform_config_valid", 1), seconds=15)

        async def taken_over() -> bool:
            config = await shop.get("v1", "ConfigMap", "careful-stream")
            return config is not None and '"interrupt_after_seconds": 7' in config["data"]["stream.json"]

        await eventually(taken_over, seconds=20)
    finally:
        operator.platform_file.write_text(good)


async def _is(operator: Operator, metric: str, value: float) -> bool:
    return await operator.metric(metric) == value


async def test_an_ended_stream_leaves_its_books_and_a_deleted_one_leaves_nothing(
    shop: Tenant, operator: Operator
) -> None:
    await shop.create(stream("short"))
    await reason(shop, "short", "Provisioned", "ChildrenExist")
    await shop.delete("haat.dev/v1alpha1", "LiveStream", "short")

    async def gone() -> bool:
        return await shop.get("haat.dev/v1alpha1", "LiveStream", "short") is None

    await eventually(gone, seconds=20)
