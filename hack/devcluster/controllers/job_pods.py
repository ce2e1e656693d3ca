"""What a pod means to its Job: active, ending, failed or succeeded, its index, and the pod failure policy. Pure.

Source: pkg/controller/job/pod_failure_policy.go and job_controller.go. Trap avoided: a pod that is being deleted is
replaced at once or only after its end, as podReplacementPolicy says; mixing both would run an index twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hack.devcluster.objects import (
    Obj,
    annotations_of,
    is_deleting,
    labels_of,
    meta,
    name_of,
    namespace_of,
    parse_time,
    spec_of,
    status_of,
)

INDEX = "batch.kubernetes.io/job-completion-index"
FINALIZER = "batch.kubernetes.io/job-tracking"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"


def indexed(job: Obj) -> bool:
    return spec_of(job).get("completionMode") == "Indexed"


def number(job: Obj, name: str, default: int) -> int:
    value = spec_of(job).get(name)
    return default if value is None else int(value)


def waits_for_end(job: Obj) -> bool:
    """podReplacementPolicy Failed: an ending pod is replaced only once it has ended."""
    return spec_of(job).get("podReplacementPolicy") == "Failed" or bool(spec_of(job).get("podFailurePolicy"))


def phase_of(pod: Obj) -> str:
    return str(status_of(pod).get("phase") or "Pending")


def active(pod: Obj) -> bool:
    return phase_of(pod) not in ("Succeeded", "Failed") and not is_deleting(pod)


def terminating(pod: Obj) -> bool:
    return phase_of(pod) not in ("Succeeded", "Failed") and is_deleting(pod)


def succeeded(pod: Obj) -> bool:
    return phase_of(pod) == "Succeeded"


def failed(job: Obj, pod: Obj) -> bool:
    if phase_of(pod) == "Failed":
        return True
    # A pod that never had a node has no agent that could report its end.
    return terminating(pod) and (not waits_for_end(job) or not spec_of(pod).get("nodeName"))


def tracked(pod: Obj) -> bool:
    return FINALIZER in (meta(pod).get("finalizers") or [])


def index_of(pod: Obj) -> int:
    """-1 for none."""
    text = annotations_of(pod).get(INDEX) or labels_of(pod).get(INDEX) or ""
    return int(text) if text.isdigit() else -1


def failures_noted(pod: Obj) -> int:
    """Counted failures of the pod's index before this pod."""
    text = annotations_of(pod).get(FAILURES, "0")
    return int(text) if text.isdigit() else 0


def finish_time(pod: Obj) -> float:
    """Epoch seconds of the last container's end; the deletion or the creation where none is told."""
    statuses = [
        *(status_of(pod).get("containerStatuses") or []),
        *(status_of(pod).get("initContainerStatuses") or []),
    ]
    ends = [
        parse_time(((entry.get("state") or {}).get("terminated") or {}).get("finishedAt")) or 0.0 for entry in statuses
    ]
    other = parse_time(meta(pod).get("deletionTimestamp")) or parse_time(meta(pod).get("creationTimestamp")) or 0.0
    return max(ends, default=0.0) or other


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the pod failure policy says of a failed pod; `message` tells which rule matched."""

    action: str = "Count"
    message: str = ""


def judge(job: Obj, pod: Obj) -> Verdict:
    """The first rule that matches; a failure without one counts."""
    rules = (spec_of(job).get("podFailurePolicy") or {}).get("rules") or []
    if phase_of(pod) != "Failed":
        return Verdict()
    where = f"{namespace_of(pod)}/{name_of(pod)}"
    for position, rule in enumerate(rules):
        action, tail = str(rule.get("action")), f"matching {rule.get('action')} rule at index {position}"
        if rule.get("onExitCodes"):
            hit = _exit_match(rule["onExitCodes"], pod)
            if hit is not None:
                return Verdict(action, f"Container {hit[0]} for pod {where} failed with exit code {hit[1]} {tail}")
        else:
            kind = _condition_match(rule.get("onPodConditions") or [], pod)
            if kind is not None:
                return Verdict(action, f"Pod {where} has condition {kind} {tail}")
    return Verdict()


def _exit_match(requirement: Obj, pod: Obj) -> tuple[str, int] | None:
    values, wanted = requirement.get("values") or [], requirement.get("containerName")
    for key in ("containerStatuses", "initContainerStatuses"):
        for entry in status_of(pod).get(key) or []:
            ended = (entry.get("state") or {}).get("terminated")
            if ended is None or not ended.get("exitCode") or (wanted and entry["name"] != wanted):
                continue
            if (ended["exitCode"] in values) == (requirement.get("operator") == "In"):
                return str(entry["name"]), int(ended["exitCode"])
    return None


def _condition_match(patterns: Sequence[Obj], pod: Obj) -> str | None:
    for entry in status_of(pod).get("conditions") or []:
        for pattern in patterns:
            if pattern.get("type") == entry.get("type") and (pattern.get("status") or "True") == entry.get("status"):
                return str(entry["type"])
    return None


def retry_times(failed_pods: Sequence[Obj], succeeded_pods: Sequence[Obj]) -> list[float]:
    """Ends of the failures since the last success, the oldest first."""
    last = max((finish_time(pod) for pod in succeeded_pods), default=0.0)
    return sorted(moment for moment in map(finish_time, failed_pods) if moment > last)
