"""Ingress `<name>-stream`: the room's socket and the studio's view of the transcoder; on the channel's own host too.

A controller that knows a rule for a host looks at no rule without one, so the channel's host needs the paths again.
Where that host is a Gateway's, they are an HTTPRoute of the same name.
"""

from typing import Any

from operators.api import Channel, LiveStream
from operators.core.capabilities import Capabilities
from operators.core.children import HTTP_PORT, child, gateway_parent
from operators.core.plan import Manifest
from operators.core.platform import Platform
from operators.livestream import names
from operators.livestream.placement import pooled


def build_routes(
    stream: LiveStream, channel: Channel, platform: Platform, capabilities: Capabilities, *, room: bool
) -> list[Manifest]:
    """The stream's routes.

    Without a room (nobody is there yet) its path is left to the edge, which holds the first visitors and asks for one.
    A pooled stream's studio is the edge's as well, so there may be nothing to route.
    """
    paths = {f"/ws/{stream.id}": names.fanout(stream)} if room else {}
    if not pooled(stream):
        paths[f"/streams/{stream.id}/studio"] = names.transcoder(stream)
    if not paths:
        return []
    delivery = channel.spec.delivery
    through_gateway = delivery.gateway_ref is not None
    hosts = [delivery.hostname] if delivery.hostname and not through_gateway else []
    made = [_ingress(stream, platform, paths, hosts)]
    if delivery.hostname and through_gateway and capabilities.gateway:
        made.append(_http_route(stream, channel, paths))
    return made


def _ingress(stream: LiveStream, platform: Platform, paths: dict[str, str], hosts: list[str]) -> Manifest:
    """The Ingress; long time-outs, because a room's socket lives as long as its viewer."""
    http = {"paths": [_path(path, service) for path, service in paths.items()]}
    ingress = child(
        stream,
        api_version="networking.k8s.io/v1",
        kind="Ingress",
        name=names.ingress(stream),
        component="routes",
        spec={
            "ingressClassName": platform.ingress_class,
            "rules": [{"http": http}, *({"host": host, "http": http} for host in hosts)],
        },
    )
    ingress["metadata"]["annotations"] = {
        "nginx.ingress.kubernetes.io/proxy-read-timeout": "3600",
        "nginx.ingress.kubernetes.io/proxy-send-timeout": "3600",
    }
    return ingress


def _path(path: str, service: str) -> dict[str, Any]:
    backend = {"service": {"name": service, "port": {"name": "http"}}}
    return {"path": path, "pathType": "Prefix", "backend": backend}


def _http_route(stream: LiveStream, channel: Channel, paths: dict[str, str]) -> Manifest:
    """Services of the stream's own namespace, so that no ReferenceGrant is needed."""
    rules = [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": path}}],
            "backendRefs": [{"group": "", "kind": "Service", "name": service, "port": HTTP_PORT, "weight": 1}],
        }
        for path, service in paths.items()
    ]
    return child(
        stream,
        api_version="gateway.networking.k8s.io/v1",
        kind="HTTPRoute",
        name=names.ingress(stream),
        component="routes",
        spec={
            "parentRefs": [gateway_parent(channel)],
            "hostnames": [channel.spec.delivery.hostname],
            "rules": rules,
        },
    )
