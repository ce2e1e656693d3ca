"""NetworkPolicies of a stream's pods: who may reach them, and what they may reach.

They name namespaces and labels, never addresses; a cluster without a policy engine ignores them.
"""

from typing import Any

from operators.api import LiveStream
from operators.core.children import HTTP_PORT, child, of_component
from operators.core.plan import Manifest
from operators.core.platform import Platform
from operators.livestream import names
from operators.livestream.placement import pooled


def build_network_policies(stream: LiveStream, platform: Platform) -> list[Manifest]:
    """One for the transcoder (media services reach it) and one for the room (gateways reach it)."""
    if not platform.network_policies.enabled:
        return []
    gateways = [*dict.fromkeys([platform.namespace, *platform.network_policies.gateway_namespaces])]
    own = [] if pooled(stream) else [("transcoder", names.transcoder(stream))]
    return [
        _policy(stream, platform, component=component, name=name, reached_from=gateways)
        for component, name in [*own, ("fanout", names.fanout(stream))]
    ]


def _policy(stream: LiveStream, platform: Platform, *, component: str, name: str, reached_from: list[str]) -> Manifest:
    return child(
        stream,
        api_version="networking.k8s.io/v1",
        kind="NetworkPolicy",
        name=name,
        component=component,
        spec={
            "podSelector": {"matchLabels": of_component(stream, component)},
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
