"""Ingress `<name>-stream`: the room's socket and the studio's view of the transcoder."""

from typing import Any

from operators.api import LiveStream
from operators.core.children import child
from operators.core.plan import Manifest
from operators.core.platform import Platform
from operators.livestream import names
from operators.livestream.placement import pooled


def build_ingress(stream: LiveStream, platform: Platform, *, room: bool) -> Manifest:
    """The Ingress; long time-outs, because a room's socket lives as long as its viewer.

    Without a room (nobody is there yet) its path is left to the edge, which holds the first visitors and asks for one.
    """
    sockets = [_path(f"/ws/{stream.id}", names.fanout(stream))] if room else []
    studio = [] if pooled(stream) else [_path(f"/streams/{stream.id}/studio", names.transcoder(stream))]
    ingress = child(
        stream,
        api_version="networking.k8s.io/v1",
        kind="Ingress",
        name=names.ingress(stream),
        component="routes",
        spec={
            "ingressClassName": platform.ingress_class,
            "rules": [
                {
                    "http": {
                        "paths": [
                            *sockets,
                            *studio,
                        ]
                    }
                }
            ],
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
