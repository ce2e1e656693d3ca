"""RayServices: one for a namespace with every application that its streams name, and one of their own for those that
do not want to share.

A RayService per stream would cost a Ray head each; sharing one means that it has no single owner, so it carries the
label of the operators instead of an owner reference and is deleted when the last stream that needs it is gone.
"""

from collections.abc import Iterable

import yaml

from operators.api import LiveStream
from operators.api.common import Isolation
from operators.api.livestream_status import StreamPhase
from operators.core.children import RESTRICTED_CONTAINER, RESTRICTED_POD, child
from operators.core.plan import Manifest, ObjectRef
from operators.core.platform import ModelApp, Platform, Runtime

API_VERSION = "ray.io/v1"
NAME = "haat-models"
SERVE_PORT = 8000
OVER = (StreamPhase.ENDED, StreamPhase.DRAINING, StreamPhase.FAILED)


def isolated(stream: LiveStream) -> bool:
    """Whether the stream has models of its own; one that is its own takes the stream's others with it."""
    return any(use.isolation == Isolation.DEDICATED for use in stream.spec.models)


def models_of(stream: LiveStream, channel_models: Iterable[str]) -> set[str]:
    """Names of the models of one stream, its channel's included."""
    return {use.model_ref.name for use in stream.spec.models} | set(channel_models)


def wanted_models(streams: Iterable[LiveStream], channel_models: dict[str, set[str]]) -> set[str]:
    """Names of the models that streams share, by themselves or through their channel."""
    names: set[str] = set()
    for stream in streams:
        over = stream.deleting or stream.status.phase in OVER
        if not over and not isolated(stream):
            names |= models_of(stream, channel_models.get(stream.spec.channel.name, set()))
    return names


def own_name(stream: LiveStream) -> str:
    """RayService of a stream that does not share."""
    return f"{stream.metadata.name}-models"


def service_name(stream: LiveStream) -> str:
    """The RayService that serves the stream."""
    return own_name(stream) if isolated(stream) else NAME


def ray_service(namespace: str, models: set[str], platform: Platform) -> Manifest | None:
    """The RayService of the namespace; None when no known model is wanted."""
    spec = service_spec(models, platform)
    labels = {
        "app.kubernetes.io/name": NAME,
        "app.kubernetes.io/part-of": "haat",
        "app.kubernetes.io/managed-by": "haat-operators",
    }
    metadata = {"name": NAME, "namespace": namespace, "labels": labels}
    return {"apiVersion": API_VERSION, "kind": "RayService", "metadata": metadata, "spec": spec} if spec else None


def own_ray_service(stream: LiveStream, channel_models: Iterable[str], platform: Platform) -> Manifest | None:
    """The RayService of a stream that does not share; None for one that does."""
    spec = service_spec(models_of(stream, channel_models), platform) if isolated(stream) else None
    if spec is None:
        return None
    return child(
        stream, api_version=API_VERSION, kind="RayService", name=own_name(stream), component="models", spec=spec
    )


def service_spec(models: set[str], platform: Platform) -> dict[str, object] | None:
    """A RayService's spec for those of the models that Ray serves; None when there are none."""
    known = {name: platform.models[name] for name in sorted(models) if name in platform.models}
    apps = {name: app for name, app in known.items() if app.runtime == Runtime.RAY_SERVE}
    if not apps:
        return None
    return {
        "serveConfigV2": yaml.safe_dump(serve_config(apps), sort_keys=False),
        "rayClusterConfig": _cluster(platform),
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
                    **app.args,
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
        # Ray writes into its own folders, so its root file system cannot be read-only as everywhere else.
        "securityContext": RESTRICTED_CONTAINER | {"readOnlyRootFilesystem": False},
    }
    pod = {"automountServiceAccountToken": False, "securityContext": RESTRICTED_POD, "containers": [container]}
    return {
        "rayVersion": "2.60.0",
        "headGroupSpec": {
            "rayStartParams": {"dashboard-host": "0.0.0.0", "num-cpus": "2"},
            "template": {"spec": pod},
        },
    }


def reference(namespace: str, name: str = NAME) -> ObjectRef:
    """A RayService of a namespace: the shared one unless another is named."""
    return ObjectRef(API_VERSION, "RayService", namespace, name)
