"""What the stream's two Deployments share: account, security context, volumes and the common environment."""

from typing import Any

from operators.api import LiveStream
from operators.api.common import Resources
from operators.api.livestream import Hardware
from operators.core.children import (
    RESTRICTED_CONTAINER,
    RESTRICTED_POD,
    child,
    http_probe,
    labels,
    pod_identity_env,
    selector,
)
from operators.core.plan import Manifest
from operators.core.platform import Platform, Size
from operators.livestream import names
from operators.livestream.children.config import STREAM_FILE

STREAM_DIR = "/etc/haat/stream"
HTTP_PORT = 8080


def build_service_account(stream: LiveStream) -> Manifest:
    """An account without rights, so that a stream's pod cannot read anybody's objects."""
    return child(
        stream,
        api_version="v1",
        kind="ServiceAccount",
        name=names.service_account(stream),
        component="stream",
        automountServiceAccountToken=False,
    )


def build_service(stream: LiveStream, name: str, component: str, pods: dict[str, str] | None = None) -> Manifest:
    """A ClusterIP Service of a component's pods (or those with labels `pods`), above port 1024 so that no node needs a
    privilege for it."""
    return child(
        stream,
        api_version="v1",
        kind="Service",
        name=name,
        component=component,
        spec={
            "type": "ClusterIP",
            "selector": pods or selector(stream, component),
            "ports": [{"name": "http", "port": HTTP_PORT, "targetPort": "http", "protocol": "TCP"}],
        },
    )


def pod_template(
    stream: LiveStream,
    platform: Platform,
    *,
    component: str,
    size: Size,
    grace_seconds: int,
    env: list[dict[str, Any]],
    volumes: list[dict[str, Any]],
    mounts: list[dict[str, Any]],
) -> dict[str, Any]:
    """The pod template of `python -m workloads.<component>`, with what `spec.template` says about it."""
    wanted = {item.name: item.resources for item in stream.spec.template.components}.get(component)
    if wanted is not None:
        size = override(size, wanted)
    container = {
        "name": component,
        "image": platform.images.workloads,
        "imagePullPolicy": platform.images.pull_policy,
        "command": ["python", "-m", f"workloads.{component}"],
        "env": [*pod_identity_env(), *common_env(platform), *env],
        "ports": [{"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"}],
        "startupProbe": http_probe("/healthz", period=1, failures=60),
        "readinessProbe": http_probe("/readyz", period=1, failures=2),
        "livenessProbe": http_probe("/healthz", period=10, failures=3),
        "resources": {
            "requests": {"cpu": size.cpu, "memory": size.memory},
            "limits": {"memory": size.memory_limit},
        },
        "securityContext": RESTRICTED_CONTAINER,
        "volumeMounts": [
            {"name": "stream", "mountPath": STREAM_DIR, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of the pod's own
            *mounts,
        ],
    }
    return {
        "metadata": _pod_metadata(stream, component),
        "spec": {
            "serviceAccountName": names.service_account(stream),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": RESTRICTED_POD,
            "terminationGracePeriodSeconds": grace_seconds,
            "containers": [container],
            "volumes": [
                {"name": "stream", "configMap": {"name": names.config_map(stream)}},
                {"name": "tmp", "emptyDir": {}},
                *volumes,
            ],
            **_placement(stream, platform, component),
        },
    }


def override(size: Size, wanted: Resources) -> Size:
    """A size with what the tenant asked for; memory asked for is also its limit."""
    return Size(
        cpu=wanted.cpu or size.cpu,
        memory=wanted.memory or size.memory,
        memory_limit=wanted.memory or size.memory_limit,
    )


def _pod_metadata(stream: LiveStream, component: str) -> dict[str, Any]:
    """Labels of ours win over the tenant's: selectors and watches depend on them."""
    template = stream.spec.template
    scrape = {"prometheus.io/scrape": "true", "prometheus.io/port": str(HTTP_PORT)}
    return {
        "labels": template.pod_labels | labels(stream, component),
        "annotations": template.pod_annotations | scrape,
    }


def _placement(stream: LiveStream, platform: Platform, component: str) -> dict[str, Any]:
    """Where the pods may run. Members that nobody wants are left out, so that the template stays as it was."""
    template, transcode = stream.spec.template, stream.spec.transcode
    match = {"labelSelector": {"matchLabels": selector(stream, component)}}
    spread = [
        {"topologyKey": item.topology_key, "maxSkew": item.max_skew, "whenUnsatisfiable": item.when_unsatisfiable}
        for item in template.topology_spread_constraints
    ] or [
        {"topologyKey": key, "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
    tolerations = [{key: value for key, value in item.model_dump().items() if value} for item in template.tolerations]
    secrets = [*(item.name for item in template.image_pull_secrets), *platform.images.pull_secrets]
    node_selector = template.node_selector | (_hardware(stream) if component == "transcoder" else {})
    priority = transcode.priority_class_name if component == "transcoder" else ""
    wanted: dict[str, Any] = {
        "topologySpreadConstraints": [item | match for item in spread],
        "tolerations": tolerations,
        "nodeSelector": node_selector,
        "imagePullSecrets": [{"name": name} for name in dict.fromkeys(secrets)],
        "priorityClassName": priority or platform.priority_class,
    }
    return {key: value for key, value in wanted.items() if value}


def _hardware(stream: LiveStream) -> dict[str, str]:
    """A transcoder that needs a hardware encoder runs where the node says that it has one."""
    wanted = stream.spec.transcode.hardware
    return {"haat.dev/encoder": wanted.value.lower()} if wanted in (Hardware.NVENC, Hardware.VAAPI) else {}


def common_env(platform: Platform) -> list[dict[str, Any]]:
    """Environment of both components."""
    return [
        {"name": "HAAT_LISTEN_PORT", "value": str(HTTP_PORT)},
        {"name": "HAAT_REDIS_URL", "value": platform.redis_url},
        {"name": "HAAT_AUTH_JWKS", "value": platform.auth_jwks},
        {"name": "HAAT_STREAM_FILE", "value": f"{STREAM_DIR}/{STREAM_FILE}"},
    ]
