"""What holds nodes and images ready: Deployment `<name>-balloon` and DaemonSet `<name>-prepull`.

Balloon pods do nothing at the lowest priority. They make the cluster's autoscaler bring nodes up early, and the
scheduler takes their place away the moment a real pod needs it.
"""

from typing import Any

from operators.api import FlashSale
from operators.core.children import RESTRICTED_CONTAINER, RESTRICTED_POD, child, labels, selector
from operators.core.plan import Manifest
from operators.core.platform import Platform

IDLE = ["python", "-c", "import signal; signal.pause()"]


def build_balloon(sale: FlashSale, platform: Platform, *, replicas: int) -> Manifest:
    """Pods of the fan-out's size that give way to it."""
    size = platform.sizes.fanout
    pod = _pod(platform, resources={"requests": {"cpu": size.cpu, "memory": size.memory}})
    pod["priorityClassName"] = platform.balloon_priority_class
    return child(
        sale,
        api_version="apps/v1",
        kind="Deployment",
        name=f"{sale.metadata.name}-balloon",
        component="balloon",
        spec={
            "replicas": replicas,
            "selector": {"matchLabels": selector(sale, "balloon")},
            "template": {"metadata": {"labels": labels(sale, "balloon")}, "spec": pod},
        },
    )


def build_prepull(sale: FlashSale, platform: Platform) -> Manifest:
    """One idle pod on every node: its image is there before the crowd is."""
    pod = _pod(platform, resources={"requests": {"cpu": "1m", "memory": "16Mi"}})
    pod["tolerations"] = [{"operator": "Exists"}]
    return child(
        sale,
        api_version="apps/v1",
        kind="DaemonSet",
        name=f"{sale.metadata.name}-prepull",
        component="prepull",
        spec={
            "selector": {"matchLabels": selector(sale, "prepull")},
            "template": {"metadata": {"labels": labels(sale, "prepull")}, "spec": pod},
        },
    )


def _pod(platform: Platform, *, resources: dict[str, Any]) -> dict[str, Any]:
    container = {
        "name": "idle",
        "image": platform.images.workloads,
        "imagePullPolicy": platform.images.pull_policy,
        "command": IDLE,
        "resources": resources,
        "securityContext": RESTRICTED_CONTAINER,
    }
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": RESTRICTED_POD,
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    }
