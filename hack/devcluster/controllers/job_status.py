"""The status of a Job: counts, and the conditions in upstream's order and words. Pure."""

from collections.abc import Sequence

from hack.devcluster.controllers import job_pods
from hack.devcluster.controllers.job_indexes import format_indexes
from hack.devcluster.controllers.job_plan import JobPlan
from hack.devcluster.controllers.job_tally import Tally, tally_status
from hack.devcluster.objects import (
    Obj,
    condition_true,
    format_time,
    merge_condition,
    parse_time,
    pod_ready,
    spec_of,
    status_of,
)

TERMINAL = {"SuccessCriteriaMet": "Complete", "FailureTarget": "Failed"}


def finished(job: Obj) -> bool:
    return condition_true(job, "Complete") or condition_true(job, "Failed")


def expiry_left(job: Obj, now: float) -> float | None:
    """Seconds until a finished Job is to be deleted, None for never."""
    ttl = spec_of(job).get("ttlSecondsAfterFinished")
    if ttl is None or not finished(job):
        return None
    ends = [
        parse_time(entry.get("lastTransitionTime")) or now
        for entry in status_of(job).get("conditions") or []
        if entry.get("type") in ("Complete", "Failed") and entry.get("status") == "True"
    ]
    return max(ends) + float(ttl) - now


def job_status(job: Obj, pods: Sequence[Obj], tally: Tally, step: JobPlan, now: float) -> Obj:
    """Counts and the interim condition; `pods` as they are after the step."""
    live = [pod for pod in pods if job_pods.active(pod)]
    before = status_of(job)
    status: Obj = {
        "active": len(live) or (0 if before.get("active") else None),
        "ready": sum(pod_ready(pod) for pod in live),
        "terminating": sum(job_pods.terminating(pod) for pod in pods),
        **tally_status(job, tally),
    }
    if spec_of(job).get("backoffLimitPerIndex") is not None:
        status["failedIndexes"] = format_indexes(step.failed_indexes)
    suspended = bool(spec_of(job).get("suspend")) and not step.outcome
    was = condition_true(job, "Suspended")
    conditions = before.get("conditions") or []
    if suspended and not was:
        conditions = _set(conditions, "Suspended", "True", "JobSuspended", "Job suspended", now)
    elif was and not suspended:
        conditions = _set(conditions, "Suspended", "False", "JobResumed", "Job resumed", now)
    # The deadline counts from the last start or resumption.
    status["startTime"] = None if suspended else (before.get("startTime") or format_time(now))
    if step.outcome and not any(entry.get("type") == step.outcome for entry in conditions):
        conditions = _set(conditions, step.outcome, "True", step.reason, step.message, now)
    if conditions:
        status["conditions"] = conditions
    return status


def final_status(job: Obj, status: Obj, step: JobPlan, tally: Tally, now: float) -> Obj:
    """The status with Complete or Failed, when no pod is left."""
    kind = TERMINAL[step.outcome]
    conditions = _set(status.get("conditions") or [], kind, "True", step.reason, step.message, now)
    result = {
        **status,
        **tally_status(job, tally),
        "active": None,
        "ready": 0,
        "terminating": 0,
        "conditions": conditions,
    }
    if kind == "Complete":
        result["completionTime"] = format_time(now)
    return result


def _set(conditions: Sequence[Obj], kind: str, value: str, reason: str, message: str, now: float) -> list[Obj]:
    stamp = format_time(now)
    return merge_condition(
        conditions, kind=kind, status=value, reason=reason, message=message, now=now, lastProbeTime=stamp
    )
