"""Deployment `<name>-restream`: one pod that copies the stream to the channel's other platforms, while it is on air.

The addresses are Secrets of the tenant, mounted and never read by the operators. One that is missing does not hold the
pod up: its target is missing, and the condition `Restreaming` says so.
"""

from operators.api import Channel, LiveStream
from operators.core.children import child, of_component, selector
from operators.core.plan import Manifest
from operators.core.platform import Platform, Size
from operators.livestream import names
from operators.livestream.children.workload import pod_template

TARGETS_DIR = "/etc/haat/targets"
SIZE = Size(cpu="50m", memory="96Mi", memory_limit="512Mi")


def build_restream(stream: LiveStream, channel: Channel, platform: Platform) -> list[Manifest]:
    """The Deployment and its NetworkPolicy; nothing when the channel restreams nowhere."""
    if not channel.spec.restream:
        return []
    sources = [
        {
            "secret": {
                "name": item.url_secret_ref.name,
                "items": [{"key": "url", "path": item.name}],
                "optional": True,
            }
        }
        for item in sorted(channel.spec.restream, key=lambda item: item.name)
    ]
    template = pod_template(
        stream,
        platform,
        component="restream",
        size=SIZE,
        grace_seconds=15,
        env=[{"name": "HAAT_TARGETS_DIR", "value": TARGETS_DIR}],
        volumes=[{"name": "targets", "projected": {"sources": sources, "defaultMode": 0o440}}],
        mounts=[{"name": "targets", "mountPath": TARGETS_DIR, "readOnly": True}],
    )
    deployment = child(
        stream,
        api_version="apps/v1",
        kind="Deployment",
        name=names.restream(stream),
        component="restream",
        spec={
            "replicas": 1,
            # Two at a time would be two publishers at each target.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": selector(stream, "restream")},
            "template": template,
        },
    )
    return [deployment, *([_policy(stream)] if platform.network_policies.enabled else [])]


def _policy(stream: LiveStream) -> Manifest:
    """Nobody comes in; where the targets are is nobody's business but the tenant's."""
    return child(
        stream,
        api_version="networking.k8s.io/v1",
        kind="NetworkPolicy",
        name=names.restream(stream),
        component="restream",
        spec={
            "podSelector": {"matchLabels": of_component(stream, "restream")},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [{}],
        },
    )
