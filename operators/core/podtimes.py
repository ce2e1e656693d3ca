"""How long pods take to become ready here, measured on the pods that run."""

from collections.abc import Iterable
from math import ceil

from operators.core.plan import Manifest
from operators.core.times import epoch


def start_seconds(pod: Manifest) -> float | None:
    """From creation to Ready; None for a pod that is not ready."""
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if (
            condition.get("type") == "Ready"
            and condition.get("status") == "True"
            and condition.get("lastTransitionTime")
        ):
            return max(0.0, epoch(condition["lastTransitionTime"]) - epoch(pod["metadata"]["creationTimestamp"]))
    return None


def p99_start_seconds(pods: Iterable[Manifest], *, unknown: float = 10.0) -> float:
    """The 99th percentile over `pods`; `unknown` while nothing was measured."""
    measured = sorted(seconds for pod in pods if (seconds := start_seconds(pod)) is not None)
    return measured[ceil(0.99 * len(measured)) - 1] if measured else unknown
