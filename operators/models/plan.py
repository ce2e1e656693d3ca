"""One RayService per namespace with every application that its streams name.

A RayService per stream would cost a Ray head each; sharing one means that it has no single owner, so it carries the
label of the operators instead of an owner reference and is deleted when the last stream that needs it is gone.
"""

from collections.abc import Iterable

import yaml

from operators.api import LiveStream
from operators.api.livestream_status import StreamPhase
from operators.core.plan import Manifest, ObjectRef
from operators.core.platform import ModelApp, Platform

API_VERSION = "ray.io/v1"
NAME = "haat-models"
SERVE_PORT = 8000


def wanted_models(streams: Iterable[LiveStream], channel_models: dict[str, set[str]]) -> set[str]:
    """Names of the models that streams use, by themselves or through their channel."""
    names: set[str] = set()
    for stream in streams:
        if stream.deleting or stream.status.phase in (StreamPhase.ENDED, StreamPhase.DRAINING):
            continue
        names |= {use.model_ref.name for use in stream.spec.models}
        names |= channel_models.get(stream.spec.channel.name, set())
    return names


def ray_service(namespace: str, models: set[str], platform: Platform) -> Manifest | None:
    """The RayService of the namespace; None when no known model is wanted."""
    apps = {name: platform.models[name] for name in sorted(models) if name in platform.models}
    if not apps:
        return None
    return {
        "apiVersion": API_VERSION,
        "kind": "RayService",
        "metadata": {
            "name": NAME,
            "namespace": namespace,
            "labels": {
                "app.kubernetes.io/name": NAME,
                "app.kubernetes.io/part-of": "haat",
                "app.kubernetes.io/managed-by": "haat-operators",
            },
        },
        "spec": {
            "serveConfigV2": yaml.safe_dump(serve_config(apps), sort_keys=False),
            "rayClusterConfig": _cluster(platform),
        },
    }


def serve_config(apps: dict[str, ModelApp]) -> dict[str, object]:
    """The multi-application configuration of Ray Serve (ServeDeploySchema)."""
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "0.0.0.0", "port": SERVE_PORT},
        "applications": [
            {
                "name": name,
                "route_prefix": app.route_prefix,
                "import_path": app.import_path,
                "args": {
                    "min_replicas": app.min_replicas,
                    "max_replicas": app.max_replicas,
                    "num_cpus": app.num_cpus,
                },
            }
            for name, app in apps.items()
        ],
    }


def _cluster(platform: Platform) -> dict[str, object]:
    container = {
        "name": "ray-head",
        "image": platform.images.models,
        "imagePullPolicy": platform.images.pull_policy,
        "env": [
            {"name": "HAAT_REDIS_URL", "value": platform.redis_url},
            {"name": "RAY_SERVE_THROUGHPUT_OPTIMIZED", "value": "1"},
            {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"},
        ],
        "ports": [{"name": "serve", "containerPort": SERVE_PORT, "protocol": "TCP"}],
        "resources": {
            "requests": {"cpu": platform.sizes.models.cpu, "memory": platform.sizes.models.memory},
            "limits": {"memory": platform.sizes.models.memory_limit},
        },
    }
    return {
        "rayVersion": "2.60.0",
        "headGroupSpec": {
            "rayStartParams": {"dashboard-host": "0.0.0.0", "num-cpus": "2"},
            "template": {"spec": {"containers": [container]}},
        },
    }


def reference(namespace: str) -> ObjectRef:
    """The RayService of a namespace."""
    return ObjectRef(API_VERSION, "RayService", namespace, NAME)
