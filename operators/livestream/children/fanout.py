"""Deployment `<name>-fanout` and its disruption budget: the WebSocket pods of the room."""

from operators.api import LiveStream
from operators.api.base import seconds
from operators.core.children import child, selector
from operators.core.plan import Manifest
from operators.core.platform import Platform
from operators.livestream import names
from operators.livestream.children.workload import pod_template

MIN_READY_SECONDS = 10


def build_fanout(stream: LiveStream, platform: Platform, *, replicas: int | None) -> Manifest:
    """The Deployment; new pods come before old ones drain, because each holds open sockets.

    `replicas` None leaves the number to an HPA, which then owns the field.
    """
    drain = seconds(stream.spec.fanout.drain)
    template = pod_template(
        stream,
        platform,
        component="fanout",
        size=platform.sizes.fanout,
        grace_seconds=int(drain) + 30,
        env=[{"name": "HAAT_DRAIN_SECONDS", "value": f"{drain:.0f}"}],
        volumes=[],
        mounts=[],
    )
    return child(
        stream,
        api_version="apps/v1",
        kind="Deployment",
        name=names.fanout(stream),
        component="fanout",
        spec={
            **({} if replicas is None else {"replicas": replicas}),
            "minReadySeconds": MIN_READY_SECONDS,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
            "selector": {"matchLabels": selector(stream, "fanout")},
            "template": template,
        },
    )


def build_budget(stream: LiveStream) -> Manifest:
    """At most a tenth of the room's pods may be evicted at a time."""
    return child(
        stream,
        api_version="policy/v1",
        kind="PodDisruptionBudget",
        name=names.fanout(stream),
        component="fanout",
        spec={"maxUnavailable": "10%", "selector": {"matchLabels": selector(stream, "fanout")}},
    )
