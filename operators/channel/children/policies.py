"""NetworkPolicies of a Channel: nothing comes in to its pods unless a stream's own policy lets it; the playout's pod is
reached by monitoring only, and may fetch films from the world but not from the node's own metadata service."""

from operators.api import Channel
from operators.channel import names
from operators.core.children import HTTP_PORT, child, selector
from operators.core.plan import Manifest
from operators.core.platform import Platform
from operators.livestream.children.policies import namespace

LINK_LOCAL = (("0.0.0.0/0", "169.254.0.0/16"), ("::/0", "fe80::/10"))


def build_default_deny(channel: Channel, platform: Platform) -> list[Manifest]:
    """Deny everything that no other policy allows, for all pods of the channel."""
    if not platform.network_policies.enabled:
        return []
    return [
        child(
            channel,
            api_version="networking.k8s.io/v1",
            kind="NetworkPolicy",
            name=names.default_deny(channel),
            component="channel",
            spec={
                "podSelector": {"matchLabels": {"haat.dev/channel": channel.metadata.name}},
                "policyTypes": ["Ingress"],
            },
        )
    ]


def build_playout_policy(channel: Channel, platform: Platform) -> list[Manifest]:
    """What the playout's pod may reach, and who may reach it."""
    if not platform.network_policies.enabled:
        return []
    gateways = [*dict.fromkeys([platform.namespace, *platform.network_policies.gateway_namespaces])]
    world = [{"ipBlock": {"cidr": cidr, "except": [kept]}} for cidr, kept in LINK_LOCAL]
    return [
        child(
            channel,
            api_version="networking.k8s.io/v1",
            kind="NetworkPolicy",
            name=names.playout(channel),
            component="playout",
            spec={
                "podSelector": {"matchLabels": selector(channel, "playout")},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [
                    {
                        "from": [namespace(item) for item in gateways],
                        "ports": [{"protocol": "TCP", "port": HTTP_PORT}],
                    }
                ],
                "egress": [
                    {"to": [namespace(platform.namespace)]},
                    {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]},
                    {"to": world},
                ],
            },
        )
    ]
