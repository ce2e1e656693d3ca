"""Deployment `<name>-playout`: the one pod that shows the programme of a Linear channel, and its disruption budget."""

from operators.api import Channel
from operators.channel import names
from operators.channel.children.schedule import SCHEDULE_FILE
from operators.channel.keys import STREAM_KEY
from operators.core.children import (
    SCRAPE,
    child,
    http_probe,
    labels,
    pull_secrets,
    selector,
    workload_container,
    workload_pod,
)
from operators.core.plan import Manifest
from operators.core.platform import Platform

SCHEDULE_DIR, KEY_DIR = "/etc/haat/schedule", "/etc/haat/keys"
GRACE_SECONDS = 30


def build_playout(channel: Channel, platform: Platform, *, key_secret: str) -> Manifest:
    """The Deployment. Recreate, because a second playout would be a second publisher."""
    container = workload_container(
        platform,
        component="playout",
        size=platform.sizes.playout,
        env=_environment(channel, platform),
        mounts=[
            {"name": "schedule", "mountPath": SCHEDULE_DIR, "readOnly": True},
            {"name": "keys", "mountPath": KEY_DIR, "readOnly": True},
        ],
        readiness=http_probe("/readyz", period=2, failures=3),
    )
    key = {"secretName": key_secret, "items": [{"key": STREAM_KEY, "path": STREAM_KEY}]}
    pod = workload_pod(
        container,
        grace_seconds=GRACE_SECONDS,
        account=names.account(channel),
        volumes=[
            {"name": "schedule", "configMap": {"name": names.schedule(channel)}},
            {"name": "keys", "secret": key},
        ],
        priorityClassName=platform.priority_class,
        imagePullSecrets=pull_secrets(platform),
    )
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
            "template": {"metadata": {"labels": labels(channel, "playout"), "annotations": SCRAPE}, "spec": pod},
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
        "HAAT_CHANNEL": channel.id,
        "HAAT_SCHEDULE_FILE": f"{SCHEDULE_DIR}/{SCHEDULE_FILE}",
        "HAAT_STREAM_KEY_FILE": f"{KEY_DIR}/{STREAM_KEY}",
        "HAAT_RTMP_URL": platform.rtmp_internal_url or platform.rtmp_url,
        "HAAT_PUBLIC_URL": platform.public_url,
    }
    return [{"name": name, "value": value} for name, value in values.items()]
