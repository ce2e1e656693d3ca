"""What every child object carries: labels, the owner reference, and a restricted security context."""

from typing import Any

from operators.api import LiveStream
from operators.api.base import API_VERSION, Resource
from operators.core.plan import Manifest

OWNER_LABEL = "haat.dev/owner"
RESTRICTED_POD = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
RESTRICTED_CONTAINER = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def labels(owner: Resource, component: str) -> dict[str, str]:
    """The recommended labels plus ours; `haat.dev/owner` is what the operators watch and prune by."""
    kind = {"Channel": "channel", "LiveStream": "stream", "FlashSale": "sale"}[owner.kind_name]
    own = {f"haat.dev/{kind}": owner.metadata.name, "haat.dev/component": component}
    if isinstance(owner, LiveStream):
        own["haat.dev/channel"] = owner.spec.channel.name
    return own | {
        "app.kubernetes.io/name": component,
        "app.kubernetes.io/instance": owner.metadata.name,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "haat",
        "app.kubernetes.io/managed-by": "haat-operators",
        OWNER_LABEL: f"{owner.kind_name.lower()}.{owner.metadata.name}"[:63],
    }


def selector(owner: Resource, component: str) -> dict[str, str]:
    """The immutable labels that select a component's pods."""
    return {"app.kubernetes.io/instance": owner.metadata.name, "app.kubernetes.io/name": component}


def of_component(owner: Resource, component: str) -> dict[str, str]:
    """Labels of all pods of a component, whatever the name of their workload."""
    return {"app.kubernetes.io/instance": owner.metadata.name, "app.kubernetes.io/component": component}


def child(owner: Resource, *, api_version: str, kind: str, name: str, component: str, **body: Any) -> Manifest:
    """A manifest in the owner's namespace with labels and a controller reference."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": owner.metadata.namespace,
            "labels": labels(owner, component),
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": owner.kind_name,
                    "name": owner.metadata.name,
                    "uid": owner.metadata.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        **body,
    }


def pod_identity_env() -> list[dict[str, Any]]:
    """POD_IP, POD_NAME and POD_NAMESPACE from the Downward API."""
    paths = {"POD_IP": "status.podIP", "POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace"}
    return [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in paths.items()]


def http_probe(path: str, *, period: int = 5, failures: int = 3) -> dict[str, Any]:
    """A probe of the container's HTTP port."""
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }
