"""plan(...) of a pool: its Deployment, the budget that protects busy workers, and the marks on their pods."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.core.children import (
    OWNER_LABEL,
    RESTRICTED_CONTAINER,
    RESTRICTED_POD,
    http_probe,
    pod_identity_env,
)
from operators.core.plan import Manifest, ObjectRef, Patch, ref_of
from operators.core.platform import EvictionSafe, Platform, Pool
from operators.core.pooling import PoolState, wanted_workers

COST_ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
BUSY_LABEL, POOL_LABEL = "haat.dev/busy", "haat.dev/pool"
HTTP_PORT, GRACE_SECONDS, SHRINK_SECONDS = 8080, 3600, 120.0


@dataclass(frozen=True, slots=True)
class PoolObserved:
    """The world around one pool."""

    state: PoolState
    children: Mapping[tuple[str, str], Manifest] = field(default_factory=dict)
    pods: tuple[Manifest, ...] = ()
    too_many_since: float | None = None


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What one reconcile of a pool wants. `too_many_since` is when the pool first had more workers than it needs."""

    applies: tuple[Manifest, ...]
    patches: tuple[Patch, ...] = ()
    deletes: tuple[ObjectRef, ...] = ()
    too_many_since: float | None = None
    requeue_after: float | None = None


def plan(name: str, pool: Pool | None, observed: PoolObserved, platform: Platform, now: float) -> PoolPlan:
    """The plan; `pool` None means that the configuration does not name it any more: it goes when it is idle."""
    if pool is None:
        if observed.state.busy:
            return PoolPlan((), requeue_after=30.0)
        return PoolPlan((), deletes=tuple(ref_of(item) for item in observed.children.values()))
    live = observed.children.get(("Deployment", deployment_name(name)))
    current = int(((live or {}).get("spec") or {}).get("replicas") or 0)
    wanted = wanted_workers(pool, observed.state, now)
    since = None
    if live is not None and wanted < current:
        since = observed.too_many_since if observed.too_many_since is not None else now
        if now - since < SHRINK_SECONDS:
            wanted = current
    applies = [_deployment(name, pool, platform, wanted)]
    if pool.eviction_safe != EvictionSafe.ALWAYS:
        applies.append(_budget(name, platform))
    return PoolPlan(
        applies=tuple(applies),
        patches=_marks(platform.namespace, observed, pool),
        too_many_since=since,
        requeue_after=SHRINK_SECONDS if since is not None else 60.0,
    )


def deployment_name(name: str) -> str:
    """Deployment of a pool."""
    return f"pool-{name}"


def owner_label(name: str) -> str:
    """Value of `haat.dev/owner` on everything of a pool."""
    return f"pool.{name}"[:63]


def _labels(name: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "transcoder-pool",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": "transcoder",
        "app.kubernetes.io/part-of": "haat",
        "app.kubernetes.io/managed-by": "haat-operators",
        POOL_LABEL: name,
        OWNER_LABEL: owner_label(name),
    }


def _selector(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": "transcoder-pool", "app.kubernetes.io/instance": name}


def _object(name: str, platform: Platform, *, api_version: str, kind: str, spec: dict[str, Any]) -> Manifest:
    metadata = {"name": deployment_name(name), "namespace": platform.namespace, "labels": _labels(name)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _deployment(name: str, pool: Pool, platform: Platform, replicas: int) -> Manifest:
    """Workers are replaced one more at a time; a busy one keeps its streams for up to an hour while it drains."""
    size = pool.template.resources
    env = [
        {"name": "HAAT_LISTEN_PORT", "value": str(HTTP_PORT)},
        {"name": "HAAT_REDIS_URL", "value": platform.redis_url},
        {"name": "HAAT_AUTH_JWKS", "value": platform.auth_jwks},
        {"name": "HAAT_RTMP_URL", "value": platform.rtmp_url},
        {"name": "HAAT_POOL", "value": name},
        {"name": "HAAT_POOL_UNITS", "value": str(pool.capacity_per_worker)},
    ]
    container = {
        "name": "transcoder",
        "image": pool.template.image or platform.images.workloads,
        "imagePullPolicy": platform.images.pull_policy,
        "command": ["python", "-m", "workloads.transcoder"],
        "env": [*pod_identity_env(), *env],
        "ports": [{"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"}],
        "startupProbe": http_probe("/healthz", period=1, failures=60),
        "readinessProbe": http_probe("/readyz", period=1, failures=2),
        "livenessProbe": http_probe("/healthz", period=10, failures=3),
        "resources": {
            "requests": {"cpu": size.cpu, "memory": size.memory},
            "limits": {"memory": size.memory_limit},
        },
        "securityContext": RESTRICTED_CONTAINER,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - an emptyDir of the pod's own
    }
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": RESTRICTED_POD,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    if pool.template.node_selector:
        pod["nodeSelector"] = pool.template.node_selector
    if platform.priority_class:
        pod["priorityClassName"] = platform.priority_class
    scrape = {"prometheus.io/scrape": "true", "prometheus.io/port": str(HTTP_PORT)}
    return _object(
        name,
        platform,
        api_version="apps/v1",
        kind="Deployment",
        spec={
            "replicas": replicas,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": _selector(name)},
            "template": {"metadata": {"labels": _labels(name), "annotations": scrape}, "spec": pod},
        },
    )


def _budget(name: str, platform: Platform) -> Manifest:
    """Nobody evicts a worker that has a stream."""
    match = {"matchLabels": _selector(name) | {BUSY_LABEL: "true"}}
    spec = {"maxUnavailable": 0, "selector": match}
    return _object(name, platform, api_version="policy/v1", kind="PodDisruptionBudget", spec=spec)


def _marks(namespace: str, observed: PoolObserved, pool: Pool) -> tuple[Patch, ...]:
    """On each pod: whether it is busy, what deleting it would cost, and whether an autoscaler may move it."""
    patches = []
    for pod in observed.pods:
        metadata = pod["metadata"]
        used = observed.state.used.get(metadata["name"], 0)
        safe = pool.eviction_safe == EvictionSafe.ALWAYS or used == 0
        labels = {BUSY_LABEL: "true" if used else "false"}
        annotations = {COST_ANNOTATION: str(used), SAFE_TO_EVICT: "true" if safe else "false"}
        current = (metadata.get("labels") or {}, metadata.get("annotations") or {})
        if labels.items() <= current[0].items() and annotations.items() <= current[1].items():
            continue
        ref = ObjectRef("v1", "Pod", namespace, metadata["name"])
        patches.append(Patch(ref, {"metadata": {"labels": labels, "annotations": annotations}}))
    return tuple(patches)
