"""NetworkPolicies of a stream's pods: who may reach them, and what they may reach.

They name namespaces and labels, never addresses; a cluster without a policy engine ignores them.
"""

from typing import Any

from operators.api import LiveStream
from operators.core.children import child, selector
from operators.core.plan import Manifest
from operators.core.platform import Platform
from operators.livestream import names
from operators.livestream.children.workload import HTTP_PORT


def build_network_policies(stream: LiveStream, platform: Platform) -> list[Manifest]:
    """One for the transcoder (media services reach it) and one for the room (gateways reach it)."""
    if not platform.network_policies.enabled:
        return []
    gateways = [*dict.fromkeys([platform.namespace, *platform.network_policies.gateway_namespaces])]
    return [
        _policy(stream, platform, component="transcoder", name=names.transcoder(stream), reached_from=gateways),
        _policy(stream, platform, component="fanout", name=names.fanout(stream), reached_from=gateways),
    ]


def _policy(stream: LiveStream, platform: Platform, *, component: str, name: str, reached_from: list[str]) -> Manifest:
    return child(
        stream,
        api_version="networking.k8s.io/v1",
        kind="NetworkPolicy",
        name=name,
        component=component,
        spec={
            "podSelector": {"matchLabels": selector(stream, component)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [namespace(item) for item in reached_from],
                    "ports": [{"protocol": "TCP", "port": HTTP_PORT}],
                }
            ],
            "egress": [
                {"to": [namespace(platform.namespace)]},
                {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]},
            ],
        },
    )


def namespace(name: str) -> dict[str, Any]:
    """All pods of a namespace, as a peer."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
