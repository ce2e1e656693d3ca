"""Routes of a Channel: an HTTPRoute on the Gateway that it names, an Ingress for a host name of its own, or nothing,
because the platform's Ingress leads `/c/` to the edge already."""

from typing import Any

from operators.api import Channel
from operators.channel import names
from operators.core.capabilities import Capabilities
from operators.core.children import child
from operators.core.conditions import Fact
from operators.core.plan import Manifest
from operators.core.platform import Platform
from operators.livestream.children.workload import HTTP_PORT

EDGE = "edge"


def build_routes(channel: Channel, platform: Platform, capabilities: Capabilities) -> list[Manifest]:
    """The channel's routes."""
    delivery = channel.spec.delivery
    if delivery.gateway_ref is not None:
        return [_http_route(channel, platform)] if capabilities.gateway else []
    return [_edge_service(channel, platform), _ingress(channel, platform)] if delivery.hostname else []


def routed(channel: Channel, capabilities: Capabilities, live: Manifest | None) -> Fact:
    """The condition `Routed`; `live` is the HTTPRoute or Ingress as it is."""
    delivery = channel.spec.delivery
    if delivery.gateway_ref is not None:
        if not capabilities.gateway:
            message = "delivery.gatewayRef is set, but the cluster does not serve gateway.networking.k8s.io/v1."
            return Fact("Routed", False, "GatewayNotServed", message)
        return _of_gateway(delivery.gateway_ref.name, live)
    if not delivery.hostname:
        return Fact("Routed", True, "SharedIngress", f"The platform's Ingress serves /c/{channel.spec.slug}.")
    return Fact("Routed", True, "IngressExists") if live else Fact("Routed", False, "Creating")


def _of_gateway(gateway: str, live: Manifest | None) -> Fact:
    if live is None:
        return Fact("Routed", False, "Creating")
    for parent in (live.get("status") or {}).get("parents") or ():
        conditions = {item.get("type"): item for item in parent.get("conditions") or ()}
        for name in ("Accepted", "ResolvedRefs"):
            found = conditions.get(name)
            if found and found.get("status") == "False":
                return Fact("Routed", False, str(found.get("reason") or name), str(found.get("message") or ""))
        if (conditions.get("Accepted") or {}).get("status") == "True":
            return Fact("Routed", True, "RouteAccepted")
    return Fact("Routed", False, "WaitingForGateway", f"Gateway {gateway} has not taken the route over yet.")


def _http_route(channel: Channel, platform: Platform) -> Manifest:
    delivery = channel.spec.delivery
    gateway = delivery.gateway_ref
    parent: dict[str, Any] = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": gateway.name if gateway else "",
        "namespace": (gateway.namespace if gateway else None) or channel.metadata.namespace,
    }
    if gateway and gateway.section_name:
        parent["sectionName"] = gateway.section_name
    path = "/" if delivery.hostname else f"/c/{channel.spec.slug}"
    backend = {
        "group": "",
        "kind": "Service",
        "name": EDGE,
        "namespace": platform.namespace,
        "port": HTTP_PORT,
        "weight": 1,
    }
    match = {"path": {"type": "PathPrefix", "value": path}}
    return child(
        channel,
        api_version="gateway.networking.k8s.io/v1",
        kind="HTTPRoute",
        name=names.route(channel),
        component="routes",
        spec={
            "parentRefs": [parent],
            **({"hostnames": [delivery.hostname]} if delivery.hostname else {}),
            "rules": [{"matches": [match], "backendRefs": [backend]}],
        },
    )


def _edge_service(channel: Channel, platform: Platform) -> Manifest:
    """An Ingress names Services of its own namespace only; this one is another name of the platform's edge."""
    return child(
        channel,
        api_version="v1",
        kind="Service",
        name=names.edge(channel),
        component="routes",
        spec={
            "type": "ExternalName",
            "externalName": f"{EDGE}.{platform.namespace}.svc",
            "ports": [{"name": "http", "port": HTTP_PORT, "protocol": "TCP"}],
        },
    )


def _ingress(channel: Channel, platform: Platform) -> Manifest:
    backend = {"service": {"name": names.edge(channel), "port": {"name": "http"}}}
    return child(
        channel,
        api_version="networking.k8s.io/v1",
        kind="Ingress",
        name=names.route(channel),
        component="routes",
        spec={
            "ingressClassName": platform.ingress_class,
            "rules": [
                {
                    "host": channel.spec.delivery.hostname,
                    "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
                }
            ],
        },
    )
