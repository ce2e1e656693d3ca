"""What every child object carries: labels, the owner reference, and for pods of a workload its one shape."""

from collections.abc import Mapping, Sequence
from typing import Any

from operators.api import Channel, LiveStream
from operators.api.base import API_VERSION, Resource
from operators.core.plan import Manifest
from operators.core.platform import Platform, Size

HTTP_PORT = 8080
SCRAPE = {"prometheus.io/scrape": "true", "prometheus.io/port": str(HTTP_PORT)}
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


def workload_container(
    platform: Platform,
    *,
    component: str,
    size: Size,
    env: Sequence[dict[str, Any]],
    mounts: Sequence[dict[str, Any]] = (),
    image: str = "",
    devices: Mapping[str, str] | None = None,
    readiness: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The one container of `python -m workloads.<component>`; `devices` are extended resources that it needs."""
    return {
        "name": component,
        "image": image or platform.images.workloads,
        "imagePullPolicy": platform.images.pull_policy,
        "command": ["python", "-m", f"workloads.{component}"],
        "env": [
            *pod_identity_env(),
            {"name": "HAAT_LISTEN_PORT", "value": str(HTTP_PORT)},
            {"name": "HAAT_REDIS_URL", "value": platform.redis_url},
            *env,
        ],
        "ports": [{"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"}],
        "startupProbe": http_probe("/healthz", period=1, failures=60),
        "readinessProbe": readiness or http_probe("/readyz", period=1, failures=2),
        "livenessProbe": http_probe("/healthz", period=10, failures=3),
        "resources": {
            "requests": {"cpu": size.cpu, "memory": size.memory},
            "limits": {"memory": size.memory_limit, **(devices or {})},
        },
        "securityContext": RESTRICTED_CONTAINER,
        "volumeMounts": [*mounts, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - an emptyDir of the pod's own
    }


def workload_pod(
    container: dict[str, Any],
    *,
    grace_seconds: int,
    account: str = "",
    volumes: Sequence[dict[str, Any]] = (),
    **placement: Any,
) -> dict[str, Any]:
    """The pod of a workload's container; members of `placement` that nobody wants (empty ones) are left out."""
    return {
        **({"serviceAccountName": account} if account else {}),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": RESTRICTED_POD,
        "terminationGracePeriodSeconds": grace_seconds,
        "containers": [container],
        "volumes": [*volumes, {"name": "tmp", "emptyDir": {}}],
        **{key: value for key, value in placement.items() if value},
    }


def pull_secrets(platform: Platform, *more: str) -> list[dict[str, str]]:
    """`imagePullSecrets`: those of the pod's own, then the platform's."""
    return [{"name": name} for name in dict.fromkeys([*more, *platform.images.pull_secrets])]


def gateway_parent(channel: Channel) -> dict[str, Any]:
    """The Gateway of the channel's routes, as an HTTPRoute names its parent. Only with a gatewayRef."""
    gateway = channel.spec.delivery.gateway_ref
    parent = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": gateway.name if gateway else "",
        "namespace": (gateway.namespace if gateway else None) or channel.metadata.namespace,
    }
    return parent | ({"sectionName": gateway.section_name} if gateway and gateway.section_name else {})
