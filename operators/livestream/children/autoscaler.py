"""HorizontalPodAutoscaler or KEDA ScaledObject of the room, when the cluster scales it instead of the operators."""

from typing import Any

from operators.api import LiveStream
from operators.core.children import child
from operators.core.plan import Manifest
from operators.core.platform import Platform
from operators.core.times import rfc3339
from operators.flashsale.sizing import CapacityFloor
from operators.livestream import names

METRIC = "haat_fanout_connections"
PANIC_PERCENT, PANIC_PODS, DOWN_PERCENT = 300, 20, 25


def build_hpa(stream: LiveStream, *, low: int, high: int) -> Manifest:
    """An HPA over the sockets of each pod, with the windows of the native autoscaler."""
    spec = stream.spec.fanout
    target = spec.connections_per_replica * spec.target_utilization_percent // 100
    return child(
        stream,
        api_version="autoscaling/v2",
        kind="HorizontalPodAutoscaler",
        name=names.fanout(stream),
        component="fanout",
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": names.fanout(stream)},
            "minReplicas": max(1, low),
            "maxReplicas": max(1, high),
            "metrics": [
                {
                    "type": "Pods",
                    "pods": {
                        "metric": {"name": METRIC},
                        "target": {"type": "AverageValue", "averageValue": str(max(1, target))},
                    },
                }
            ],
            "behavior": _behavior(),
        },
    )


def build_scaled_object(
    stream: LiveStream, platform: Platform, *, low: int, high: int, floors: list[CapacityFloor]
) -> Manifest:
    """A ScaledObject: sockets from Prometheus, and the floors of coming sales as cron triggers."""
    spec = stream.spec.fanout
    target = max(1, spec.connections_per_replica * spec.target_utilization_percent // 100)
    labels = f'namespace="{stream.metadata.namespace}",pod=~"{names.fanout(stream)}-.*"'
    sockets = {
        "type": "prometheus",
        "metadata": {
            "serverAddress": platform.autoscaling.prometheus_url,
            "query": f"sum({METRIC}{{{labels}}})",
            "threshold": str(target),
        },
    }
    return child(
        stream,
        api_version="keda.sh/v1alpha1",
        kind="ScaledObject",
        name=names.fanout(stream),
        component="fanout",
        spec={
            "scaleTargetRef": {"name": names.fanout(stream)},
            "pollingInterval": 5,
            "minReplicaCount": low,
            "maxReplicaCount": max(1, high),
            "fallback": {"failureThreshold": 3, "replicas": max(1, low), "behavior": "currentReplicasIfHigher"},
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior()}},
            "triggers": [sockets, *(_cron(floor) for floor in floors if floor.replicas > low)],
        },
    )


def _behavior() -> dict[str, Any]:
    return {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Percent", "value": PANIC_PERCENT, "periodSeconds": 15},
                {"type": "Pods", "value": PANIC_PODS, "periodSeconds": 15},
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 300,
            "policies": [{"type": "Percent", "value": DOWN_PERCENT, "periodSeconds": 60}],
        },
    }


def _cron(floor: CapacityFloor) -> dict[str, Any]:
    """A cron trigger for one window: minute, hour, day and month of its begin and end."""
    return {
        "type": "cron",
        "metadata": {
            "timezone": "UTC",
            "start": _cron_time(floor.begins),
            "end": _cron_time(floor.ends + 60),
            "desiredReplicas": str(floor.replicas),
        },
    }


def _cron_time(moment: float) -> str:
    text = rfc3339(moment)
    return f"{int(text[14:16])} {int(text[11:13])} {int(text[8:10])} {int(text[5:7])} *"
