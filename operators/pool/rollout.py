"""How workers get another template, by `update`.

Drain lets the Deployment roll: each old worker is told to go, keeps the streams that have a publisher for up to an
hour, and then ends whether they are over or not. RollingWhenIdle never ends a broadcast: before the Deployment rolls,
busy workers are taken out of it by a label. They go on with their streams for as long as those last, take no new ones,
and are deleted when they have none. A Deployment cannot do that, because it does not choose which pods it replaces.
"""

from collections.abc import Iterable, Mapping

from operators.core.plan import Manifest, ObjectRef, Patch
from operators.core.platform import Pool, PoolUpdate
from operators.pool.children import LEAVING, LEAVING_LABEL, TEMPLATE_LABEL


def is_leaving(pod: Manifest) -> bool:
    """Whether the worker was taken out of its Deployment."""
    return (pod["metadata"].get("labels") or {}).get(LEAVING_LABEL) == "true"


def leaving_names(pods: Iterable[Manifest]) -> frozenset[str]:
    """Workers that take no new streams."""
    return frozenset(pod["metadata"]["name"] for pod in pods if is_leaving(pod))


def released(pods: Iterable[Manifest], used: Mapping[str, int], pool: Pool, template: Manifest) -> tuple[Patch, ...]:
    """Busy workers of an older template, taken out of the Deployment."""
    if pool.update != PoolUpdate.ROLLING_WHEN_IDLE:
        return ()
    current = template["metadata"]["labels"][TEMPLATE_LABEL]
    labels = {"app.kubernetes.io/name": LEAVING, LEAVING_LABEL: "true"}
    return tuple(
        Patch(_ref(pod), {"metadata": {"labels": labels}})
        for pod in pods
        if _serves(pod)
        and used.get(pod["metadata"]["name"], 0)
        and not is_leaving(pod)
        and (pod["metadata"].get("labels") or {}).get(TEMPLATE_LABEL) != current
    )


def finished(pods: Iterable[Manifest], used: Mapping[str, int]) -> tuple[ObjectRef, ...]:
    """Workers that were taken out and have no stream any more."""
    return tuple(
        _ref(pod) for pod in pods if is_leaving(pod) and _serves(pod) and not used.get(pod["metadata"]["name"], 0)
    )


def staying(pods: Iterable[Manifest]) -> int:
    """Workers outside of the Deployment, which its replicas are fewer by."""
    return sum(1 for pod in pods if is_leaving(pod) and _serves(pod))


def _serves(pod: Manifest) -> bool:
    """Whether the pod was not told to go yet, and has not ended."""
    over = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not pod["metadata"].get("deletionTimestamp") and not over


def _ref(pod: Manifest) -> ObjectRef:
    return ObjectRef("v1", "Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])
