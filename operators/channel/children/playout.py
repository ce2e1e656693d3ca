"""Deployment `<name>-playout`: the one pod that shows the programme of a Linear channel, and its disruption budget."""

from operators.api import Channel
from operators.channel import names
from operators.channel.children.schedule import SCHEDULE_FILE
from operators.channel.keys import STREAM_KEY
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
from operators.core.platform import Platform
from operators.livestream.children.workload import HTTP_PORT

SCHEDULE_DIR, KEY_DIR = "/etc/haat/schedule", "/etc/haat/keys"
GRACE_SECONDS = 30


def build_playout(channel: Channel, platform: Platform, *, key_secret: str) -> Manifest:
    """The Deployment. Recreate, because a second playout would be a second publisher."""
    size = platform.sizes.playout
    scrape = {"prometheus.io/scrape": "true", "prometheus.io/port": str(HTTP_PORT)}
    container = {
        "name": "playout",
        "image": platform.images.workloads,
        "imagePullPolicy": platform.images.pull_policy,
        "command": ["python", "-m", "workloads.playout"],
        "env": [*pod_identity_env(), *_environment(channel, platform)],
        "ports": [{"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"}],
        "startupProbe": http_probe("/healthz", period=1, failures=60),
        "readinessProbe": http_probe("/readyz", period=2, failures=3),
        "livenessProbe": http_probe("/healthz", period=10, failures=3),
        "resources": {
            "requests": {"cpu": size.cpu, "memory": size.memory},
            "limits": {"memory": size.memory_limit},
        },
        "securityContext": RESTRICTED_CONTAINER,
        "volumeMounts": [
            {"name": "schedule", "mountPath": SCHEDULE_DIR, "readOnly": True},
            {"name": "keys", "mountPath": KEY_DIR, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of the pod's own
        ],
    }
    pod = {
        "serviceAccountName": names.account(channel),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": RESTRICTED_POD,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "containers": [container],
        "volumes": [
            {"name": "schedule", "configMap": {"name": names.schedule(channel)}},
            {
                "name": "keys",
                "secret": {"secretName": key_secret, "items": [{"key": STREAM_KEY, "path": STREAM_KEY}]},
            },
            {"name": "tmp", "emptyDir": {}},
        ],
        **({"priorityClassName": platform.priority_class} if platform.priority_class else {}),
        **(
            {"imagePullSecrets": [{"name": name} for name in platform.images.pull_secrets]}
            if platform.images.pull_secrets
            else {}
        ),
    }
    return child(
        channel,
        api_version="apps/v1",
        kind="Deployment",
        name=names.playout(channel),
        component="playout",
        spec={
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": selector(channel, "playout")},
            "template": {"metadata": {"labels": labels(channel, "playout"), "annotations": scrape}, "spec": pod},
        },
    )


def build_playout_budget(channel: Channel) -> Manifest:
    """Nobody may evict the playout while the channel is on air."""
    return child(
        channel,
        api_version="policy/v1",
        kind="PodDisruptionBudget",
        name=names.playout(channel),
        component="playout",
        spec={"maxUnavailable": 0, "selector": {"matchLabels": selector(channel, "playout")}},
    )


def _environment(channel: Channel, platform: Platform) -> list[dict[str, str]]:
    values = {
        "HAAT_LISTEN_PORT": str(HTTP_PORT),
        "HAAT_REDIS_URL": platform.redis_url,
        "HAAT_CHANNEL": channel.id,
        "HAAT_SCHEDULE_FILE": f"{SCHEDULE_DIR}/{SCHEDULE_FILE}",
        "HAAT_STREAM_KEY_FILE": f"{KEY_DIR}/{STREAM_KEY}",
        "HAAT_RTMP_URL": platform.rtmp_internal_url or platform.rtmp_url,
        "HAAT_PUBLIC_URL": platform.public_url,
    }
    return [{"name": name, "value": value} for name, value in values.items()]
