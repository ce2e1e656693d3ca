"""HorizontalPodAutoscaler: metrics in, a size out, conditions that tell why."""

from typing import Any

from hack.devcluster.objects import Obj, condition, condition_true, spec_of, status_of
from hack.devcluster.resources import DEPLOYMENTS, HORIZONTAL_POD_AUTOSCALERS
from tests.cluster.controllers.conftest import needs_api
from tests.cluster.controllers.shapes import deployment, metrics_server, sleeper, until_rolled_out
from tests.support.cluster import Space, script


def autoscaler(name: str, metric: Obj, *, most: int = 3, **spec: Any) -> Obj:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return {
        "metadata": {"name": name},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": most, "metrics": [metric], **spec},
    }


def queue(average: str) -> Obj:
    metric = {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": average}}
    return {"type": "Pods", "pods": metric}


async def serve(space: Space, name: str, replicas: int, load: int) -> None:
    body = deployment(name, replicas, metrics_server(load))
    body["spec"]["template"]["metadata"]["annotations"] = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9100",
        "prometheus.io/path": "/metrics",
    }
    await space.create(DEPLOYMENTS, body)
    await until_rolled_out(space, name)


async def until_size(space: Space, name: str, size: int) -> None:
    await space.until(DEPLOYMENTS, name, lambda found: spec_of(found)["replicas"] == size, f"{size} replicas")


async def test_pods_metric_scales_up_to_the_limit(space: Space) -> None:
    await needs_api(space, "custom.metrics.k8s.io")
    await serve(space, "web", 1, 99)
    await space.create(HORIZONTAL_POD_AUTOSCALERS, autoscaler("web", queue("10")))
    await until_size(space, "web", 3)
    found = await space.until(
        HORIZONTAL_POD_AUTOSCALERS, "web", lambda one: status_of(one).get("currentReplicas") == 3, "three seen"
    )
    assert condition_true(found, "AbleToScale")
    assert condition_true(found, "ScalingActive")
    assert (condition(found, "ScalingLimited") or {})["reason"] == "TooManyReplicas"
    # A gauge is summed over its series: 99 and 1.
    assert status_of(found)["currentMetrics"][0]["pods"]["current"]["averageValue"] == "100"
    assert status_of(found)["lastScaleTime"]
    await space.until_event("web", ["SuccessfulRescale"])


async def test_scales_down_by_its_policy(space: Space) -> None:
    await needs_api(space, "custom.metrics.k8s.io")
    await serve(space, "web", 3, 1)
    policy = {"type": "Pods", "value": 1, "periodSeconds": 60}
    down = {"stabilizationWindowSeconds": 0, "policies": [policy]}
    body = autoscaler("web", queue("10"), behavior={"scaleDown": down})
    await space.create(HORIZONTAL_POD_AUTOSCALERS, body)
    await until_size(space, "web", 2)
    found = await space.until(
        HORIZONTAL_POD_AUTOSCALERS,
        "web",
        lambda one: (condition(one, "ScalingLimited") or {}).get("reason") == "ScaleDownLimit",
        "held by the policy",
    )
    assert status_of(found)["desiredReplicas"] == 2


async def test_processor_utilization(space: Space) -> None:
    await needs_api(space, "metrics.k8s.io")
    busy = script("while True: pass", resources={"requests": {"cpu": "50m"}})
    await space.create(DEPLOYMENTS, deployment("busy", 1, busy))
    target = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    await space.create(HORIZONTAL_POD_AUTOSCALERS, autoscaler("busy", {"type": "Resource", "resource": target}, most=2))
    await until_size(space, "busy", 2)
    found = await space.get(HORIZONTAL_POD_AUTOSCALERS, "busy")
    assert found is not None
    assert condition_true(found, "ScalingActive")


async def test_a_metric_that_cannot_be_had_is_told(space: Space) -> None:
    await space.create(DEPLOYMENTS, deployment("web", 1, sleeper()))
    metric = {"metric": {"name": "no-such"}, "target": {"type": "Value", "value": "1"}}
    await space.create(HORIZONTAL_POD_AUTOSCALERS, autoscaler("web", {"type": "External", "external": metric}))
    found = await space.until(
        HORIZONTAL_POD_AUTOSCALERS, "web", lambda one: condition(one, "ScalingActive") is not None, "a condition"
    )
    told = condition(found, "ScalingActive") or {}
    assert (told["status"], told["reason"]) == ("False", "FailedGetExternalMetric")
    assert "unable to compute the replica count" in told["message"]


async def test_a_missing_target_and_a_size_of_zero(space: Space) -> None:
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    body = autoscaler("gone", {"type": "Resource", "resource": metric})
    await space.create(HORIZONTAL_POD_AUTOSCALERS, body)
    found = await space.until(
        HORIZONTAL_POD_AUTOSCALERS, "gone", lambda one: condition(one, "AbleToScale") is not None, "a condition"
    )
    assert (condition(found, "AbleToScale") or {})["reason"] == "FailedGetScale"
    await space.create(DEPLOYMENTS, deployment("off", 0, sleeper()))
    await space.create(HORIZONTAL_POD_AUTOSCALERS, autoscaler("off", {"type": "Resource", "resource": metric}))
    found = await space.until(
        HORIZONTAL_POD_AUTOSCALERS, "off", lambda one: condition(one, "ScalingActive") is not None, "a condition"
    )
    assert (condition(found, "ScalingActive") or {})["reason"] == "ScalingDisabled"
