"""plan(...) of a pool: its size, the rollout of its template, and the marks on its workers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from operators.core.plan import Manifest, ObjectRef, Patch, ref_of
from operators.core.platform import EvictionSafe, Platform, Pool
from operators.core.pooling import PoolState, wanted_workers
from operators.pool.children import (
    BUSY_LABEL,
    SAFE_LABEL,
    build_budget,
    build_deployment,
    build_leaving_budget,
    build_template,
    deployment_name,
)
from operators.pool.rollout import finished, is_leaving, released, staying

COST_ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
SHRINK_SECONDS = 120.0


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
    used = observed.state.used
    if pool is None:
        if observed.state.busy:
            return PoolPlan((), requeue_after=30.0)
        gone = (*(ref_of(item) for item in observed.children.values()), *finished(observed.pods, used))
        return PoolPlan((), deletes=gone)
    outside = staying(observed.pods)
    wanted, since = _size(pool, observed, name, outside, now)
    template = build_template(name, pool, platform)
    leaves = released(observed.pods, used, pool, template)
    deployment = build_deployment(name, platform, template, max(0, wanted - outside - len(leaves)))
    budgets = _budgets(name, pool, observed, platform)
    kept = {("Deployment", deployment_name(name)), *((item["kind"], item["metadata"]["name"]) for item in budgets)}
    surplus = tuple(ref_of(item) for key, item in sorted(observed.children.items()) if key not in kept)
    return PoolPlan(
        applies=(deployment, *budgets),
        patches=(*leaves, *_marks(platform.namespace, observed, pool)),
        deletes=(*surplus, *finished(observed.pods, used)),
        too_many_since=since,
        requeue_after=1.0 if leaves else SHRINK_SECONDS if since is not None else 60.0,
    )


def _size(pool: Pool, observed: PoolObserved, name: str, outside: int, now: float) -> tuple[int, float | None]:
    """(workers of the whole pool, since when it is larger than it needs to be)."""
    live = observed.children.get(("Deployment", deployment_name(name)))
    current = int(((live or {}).get("spec") or {}).get("replicas") or 0) + outside
    wanted = wanted_workers(pool, observed.state, now)
    if live is None or wanted >= current:
        return wanted, None
    since = observed.too_many_since if observed.too_many_since is not None else now
    return (current if now - since < SHRINK_SECONDS else wanted), since


def _budgets(name: str, pool: Pool, observed: PoolObserved, platform: Platform) -> list[Manifest]:
    """Where busy workers may never be evicted: one for those of the Deployment, one for those outside of it."""
    if pool.eviction_safe != EvictionSafe.NEVER:
        return []
    used = observed.state.used
    outside = sum(1 for pod in observed.pods if is_leaving(pod) and used.get(pod["metadata"]["name"], 0))
    return [build_budget(name, platform), *([build_leaving_budget(name, platform, outside)] if outside else [])]


def _marks(namespace: str, observed: PoolObserved, pool: Pool) -> tuple[Patch, ...]:
    """On each pod: whether it is busy, what deleting it would cost, and who may move it.

    As in Agones, the annotation keeps a cluster's autoscaler away and the label is what the budget protects by, so
    that OnUpgrade lets a node be drained for an upgrade but not to save cost.
    """
    return tuple(_changed(namespace, observed.pods, observed.state.used, pool.eviction_safe))


def _changed(namespace: str, pods: Iterable[Manifest], used: Mapping[str, int], safe: EvictionSafe) -> Iterable[Patch]:
    for pod in pods:
        metadata = pod["metadata"]
        units = used.get(metadata["name"], 0)
        labels = {
            BUSY_LABEL: "true" if units else "false",
            SAFE_LABEL: "false" if units and safe == EvictionSafe.NEVER else "true",
        }
        annotations = {
            COST_ANNOTATION: str(units),
            SAFE_TO_EVICT: "false" if units and safe != EvictionSafe.ALWAYS else "true",
        }
        current = (metadata.get("labels") or {}, metadata.get("annotations") or {})
        if not (labels.items() <= current[0].items() and annotations.items() <= current[1].items()):
            ref = ObjectRef("v1", "Pod", namespace, metadata["name"])
            yield Patch(ref, {"metadata": {"labels": labels, "annotations": annotations}})
