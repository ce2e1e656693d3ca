"""Why a component's pods are not ready, in the words of the cluster."""

from collections.abc import Iterable, Mapping
from typing import Any

from operators.core.plan import Manifest

WAITING_REASONS = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
)


def trouble(deployment: Manifest | None, pods: Iterable[Manifest], component: str) -> tuple[str, str] | None:
    """(reason, message) of what keeps a component's pods from being ready; None when they are only starting."""
    for condition in ((deployment or {}).get("status") or {}).get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            message = str(condition.get("message") or "")
            quota = "exceeded quota" in message
            return ("QuotaExceeded" if quota else str(condition.get("reason") or "FailedCreate"), message)
    for pod in pods:
        if (pod["metadata"].get("labels") or {}).get("app.kubernetes.io/component") != component:
            continue
        found = _of_pod(pod)
        if found:
            return found
    return None


def _of_pod(pod: Manifest) -> tuple[str, str] | None:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return "Unschedulable", f"Pod {name}: {condition.get('message') or 'no node fits'}"
    statuses = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for container in statuses:
        waiting: Mapping[str, Any] = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in WAITING_REASONS:
            last = ((container.get("lastState") or {}).get("terminated")) or {}
            code = f" Its last exit code was {last['exitCode']}." if "exitCode" in last else ""
            text = (
                f"Pod {name}, container {container.get('name')}: {waiting.get('message') or waiting['reason']}.{code}"
            )
            return str(waiting["reason"]), f"{text} See: kubectl logs {name} --previous"
    return None
