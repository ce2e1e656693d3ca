"""What the cluster offers beyond the core: found by discovery, never assumed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Whether optional APIs are served."""

    keda: bool = False
    gateway: bool = False
    custom_metrics: bool = False
    ray: bool = False


PROBES = {
    "keda": "keda.sh/v1alpha1",
    "gateway": "gateway.networking.k8s.io/v1",
    "custom_metrics": "custom.metrics.k8s.io/v1beta2",
    "ray": "ray.io/v1",
}
"""Which API tells of which capability."""
