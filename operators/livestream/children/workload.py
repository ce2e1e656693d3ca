"""What the stream's two Deployments share: account, security context, volumes and the common environment."""

from typing import Any

from operators.api import LiveStream
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


def build_service(stream: LiveStream, name: str, component: str) -> Manifest:
    """A ClusterIP Service of a component's pods, above port 1024 so that no node needs a privilege for it."""
    return child(
        stream,
        api_version="v1",
        kind="Service",
        name=name,
        component=component,
        spec={
            "type": "ClusterIP",
            "selector": selector(stream, component),
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
    """The pod template of `python -m workloads.<component>`."""
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
        "metadata": {"labels": labels(stream, component)},
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
        },
    }


def common_env(platform: Platform) -> list[dict[str, Any]]:
    """Environment of both components."""
    return [
        {"name": "HAAT_LISTEN_PORT", "value": str(HTTP_PORT)},
        {"name": "HAAT_REDIS_URL", "value": platform.redis_url},
        {"name": "HAAT_AUTH_JWKS", "value": platform.auth_jwks},
        {"name": "HAAT_STREAM_FILE", "value": f"{STREAM_DIR}/{STREAM_FILE}"},
    ]
