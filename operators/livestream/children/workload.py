"""What the stream's two Deployments share: account, Service, pod template, placement and environment."""

from typing import Any

from operators.api import LiveStream
from operators.api.common import Resources
from operators.core import hardware
from operators.core.children import (
    HTTP_PORT,
    SCRAPE,
    child,
    labels,
    pull_secrets,
    selector,
    workload_container,
    workload_pod,
)
from operators.core.plan import Manifest
from operators.core.platform import Platform, Size
from operators.livestream import names
from operators.livestream.children.config import STREAM_FILE

STREAM_DIR = "/etc/haat/stream"


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
    transcodes = stream.spec.transcode.hardware.value if component == "transcoder" else ""
    container = workload_container(
        platform,
        component=component,
        size=size,
        env=[*stream_env(platform), *hardware.environment(transcodes), *env],
        mounts=[{"name": "stream", "mountPath": STREAM_DIR, "readOnly": True}, *mounts],
        devices=hardware.devices(transcodes),
    )
    return {
        "metadata": _pod_metadata(stream, component),
        "spec": workload_pod(
            container,
            grace_seconds=grace_seconds,
            account=names.service_account(stream),
            volumes=[{"name": "stream", "configMap": {"name": names.config_map(stream)}}, *volumes],
            **_placement(stream, platform, component),
        ),
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
    return {
        "labels": template.pod_labels | labels(stream, component),
        "annotations": template.pod_annotations | SCRAPE,
    }


def _placement(stream: LiveStream, platform: Platform, component: str) -> dict[str, Any]:
    """Where the pods may run."""
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
    needed = hardware.node_selector(transcode.hardware.value) if component == "transcoder" else {}
    priority = transcode.priority_class_name if component == "transcoder" else ""
    return {
        "topologySpreadConstraints": [item | match for item in spread],
        "tolerations": tolerations,
        "nodeSelector": template.node_selector | needed,
        "imagePullSecrets": pull_secrets(platform, *(item.name for item in template.image_pull_secrets)),
        "priorityClassName": priority or platform.priority_class,
    }


def common_env(platform: Platform) -> list[dict[str, Any]]:
    """Environment of what runs for a stream and is no server, such as the Job at its end."""
    return [
        {"name": "HAAT_LISTEN_PORT", "value": str(HTTP_PORT)},
        {"name": "HAAT_REDIS_URL", "value": platform.redis_url},
        *stream_env(platform),
    ]


def stream_env(platform: Platform) -> list[dict[str, Any]]:
    """Environment of everything that belongs to a stream."""
    return [
        {"name": "HAAT_AUTH_JWKS", "value": platform.auth_jwks},
        {"name": "HAAT_STREAM_FILE", "value": f"{STREAM_DIR}/{STREAM_FILE}"},
    ]
