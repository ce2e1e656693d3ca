"""Routes of a Channel: an HTTPRoute on the Gateway that it names, an Ingress for a host name of its own, or nothing,
because the platform's Ingress leads `/c/` to the edge already.

On a host of its own the whole platform is served, since the page asks it for everything; rooms add their own paths.
"""

from typing import Any

from operators.api import Channel
from operators.channel import names
from operators.core.capabilities import Capabilities
from operators.core.children import HTTP_PORT, child, gateway_parent
from operators.core.conditions import Fact
from operators.core.plan import Manifest
from operators.core.platform import Platform

EDGE = "edge"
SERVICES = {
    "/api/v1/session": "identity",
    "/api/v1/playback": EDGE,
    "/api/v1/qoe": EDGE,
    "/api/v1/clips": "recorder",
    "/api/v1": "commerce",
    "/whep": "webrtc",
    "/whip": "webrtc",
    "/": EDGE,
}
"""What is served on a host: path -> Service of the platform's namespace, as in the chart's Ingress."""


def build_routes(channel: Channel, platform: Platform, capabilities: Capabilities) -> list[Manifest]:
    """The channel's routes."""
    delivery = channel.spec.delivery
    if delivery.gateway_ref is not None:
        return [_http_route(channel, platform)] if capabilities.gateway else []
    if not delivery.hostname:
        return []
    services = dict.fromkeys(SERVICES.values())
    return [*(_service(channel, platform, name) for name in services), _ingress(channel, platform)]


def routed(channel: Channel, platform: Platform, capabilities: Capabilities, live: Manifest | None) -> Fact:
    """The condition `Routed`; `live` is the HTTPRoute or Ingress as it is."""
    delivery = channel.spec.delivery
    if delivery.gateway_ref is not None:
        if not capabilities.gateway:
            message = "delivery.gatewayRef is set, but the cluster does not serve gateway.networking.k8s.io/v1."
            return Fact("Routed", False, "GatewayNotServed", message)
        return _of_gateway(channel, platform, live)
    if not delivery.hostname:
        return Fact("Routed", True, "SharedIngress", f"The platform's Ingress serves /c/{channel.spec.slug}.")
    return Fact("Routed", True, "IngressExists") if live else Fact("Routed", False, "Creating")


def _of_gateway(channel: Channel, platform: Platform, live: Manifest | None) -> Fact:
    """What the Gateway says of the route as it is now; what it said of an older one counts for nothing."""
    if live is None:
        return Fact("Routed", False, "Creating")
    wanted = gateway_parent(channel)
    gateway, space = f"{wanted['namespace']}/{wanted['name']}", channel.metadata.namespace
    for parent in (live.get("status") or {}).get("parents") or ():
        if not _is_parent(parent.get("parentRef") or {}, wanted, space):
            continue
        conditions = {item.get("type"): item for item in parent.get("conditions") or () if _is_fresh(item, live)}
        for name in ("Accepted", "ResolvedRefs"):
            found = conditions.get(name)
            if found and found.get("status") == "False":
                reason = str(found.get("reason") or "RouteRefused")
                words = f"Gateway {gateway}: {found.get('message') or reason} {_hint(reason, space, platform)}"
                return Fact("Routed", False, reason, words.strip())
        if (conditions.get("Accepted") or {}).get("status") == "True":
            return Fact("Routed", True, "RouteAccepted")
    message = (
        f"Gateway {gateway} has not answered yet. It must exist, have a controller, and allow routes from {space}."
    )
    return Fact("Routed", False, "WaitingForGateway", message)


def _is_parent(found: dict[str, Any], wanted: dict[str, Any], namespace: str) -> bool:
    """Whether a status is about the Gateway that we named; without a namespace it is one of the route's own."""
    same = found.get("name") == wanted["name"] and (found.get("namespace") or namespace) == wanted["namespace"]
    return bool(same and found.get("sectionName", "") == wanted.get("sectionName", ""))


def _is_fresh(condition: dict[str, Any], live: Manifest) -> bool:
    return int(condition.get("observedGeneration") or 0) >= int(live["metadata"].get("generation") or 0)


def _hint(reason: str, namespace: str, platform: Platform) -> str:
    """What helps against the refusals that come from other namespaces."""
    if reason == "NotAllowedByListeners":
        return f"Allow namespace {namespace} in allowedRoutes of its listener."
    if reason == "RefNotPermitted":
        return f"Make a ReferenceGrant in namespace {platform.namespace} for HTTPRoutes of namespace {namespace}."
    return ""


def _http_route(channel: Channel, platform: Platform) -> Manifest:
    host = channel.spec.delivery.hostname
    paths = SERVICES if host else {f"/c/{channel.spec.slug}": EDGE}
    return child(
        channel,
        api_version="gateway.networking.k8s.io/v1",
        kind="HTTPRoute",
        name=names.route(channel),
        component="routes",
        spec={
            "parentRefs": [gateway_parent(channel)],
            **({"hostnames": [host]} if host else {}),
            "rules": [_rule(path, service, platform) for path, service in paths.items()],
        },
    )


def _rule(path: str, service: str, platform: Platform) -> dict[str, Any]:
    backend = {
        "group": "",
        "kind": "Service",
        "name": service,
        "namespace": platform.namespace,
        "port": HTTP_PORT,
        "weight": 1,
    }
    return {"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": [backend]}


def _service(channel: Channel, platform: Platform, name: str) -> Manifest:
    """An Ingress names Services of its own namespace only; this one is another name of the platform's."""
    return child(
        channel,
        api_version="v1",
        kind="Service",
        name=names.service(channel, name),
        component="routes",
        spec={
            "type": "ExternalName",
            "externalName": f"{name}.{platform.namespace}.svc",
            "ports": [{"name": "http", "port": HTTP_PORT, "protocol": "TCP"}],
        },
    )


def _ingress(channel: Channel, platform: Platform) -> Manifest:
    paths = [
        {
            "path": path,
            "pathType": "Prefix",
            "backend": {"service": {"name": names.service(channel, service), "port": {"name": "http"}}},
        }
        for path, service in SERVICES.items()
    ]
    return child(
        channel,
        api_version="networking.k8s.io/v1",
        kind="Ingress",
        name=names.route(channel),
        component="routes",
        spec={
            "ingressClassName": platform.ingress_class,
            "rules": [{"host": channel.spec.delivery.hostname, "http": {"paths": paths}}],
        },
    )
