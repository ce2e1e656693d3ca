"""Job: run pods to completion, with a limit on failures and time.

Trap avoided: a pod that finished must be counted once even if it is deleted later; a finalizer on each pod keeps it
until its result is in the Job's status would be the full answer, here finished pods stay until the Job goes, so their
count is the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hack.devcluster.controllers.base import Controller
from hack.devcluster.controllers.podtemplate import pod_from_template
from hack.devcluster.objects import (
    Obj,
    condition_true,
    format_time,
    is_deleting,
    labels_of,
    merge_condition,
    meta,
    parse_time,
    pod_active,
    pod_ready,
    spec_of,
    status_of,
    uid_of,
)
from hack.devcluster.resources import JOBS, PODS

INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
_BASE_BACKOFF = 10.0
_MAX_BACKOFF = 360.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """Pods to create and delete, the outcome if there is one, and when to look again."""

    create: int = 0
    delete: tuple[Obj, ...] = ()
    outcome: str = ""
    """Empty, Complete or Failed."""
    reason: str = ""
    message: str = ""
    again: float | None = None


def _number(job: Obj, name: str, default: int) -> int:
    value = spec_of(job).get(name)
    return default if value is None else int(value)


def retry_delay(failed: Sequence[Obj], now: float) -> float:
    """Seconds until the next pod may be created after failures: 10 s doubling to 6 min since the last one."""
    if not failed:
        return 0.0
    last = max(_finished_at(pod) for pod in failed)
    wait = min(_BASE_BACKOFF * float(1 << min(len(failed) - 1, 16)), _MAX_BACKOFF)
    return max(0.0, last + wait - now)


def _finished_at(pod: Obj) -> float:
    ends = [
        parse_time(((entry.get("state") or {}).get("terminated") or {}).get("finishedAt")) or 0.0
        for entry in status_of(pod).get("containerStatuses") or []
    ]
    return max(ends, default=0.0) or parse_time(meta(pod).get("creationTimestamp")) or 0.0


def plan(job: Obj, pods: Sequence[Obj], now: float) -> JobPlan:
    """The next step of an unfinished Job."""
    active = [pod for pod in pods if pod_active(pod)]
    succeeded = [pod for pod in pods if status_of(pod).get("phase") == "Succeeded"]
    failed = [pod for pod in pods if status_of(pod).get("phase") == "Failed"]
    if spec_of(job).get("suspend"):
        return JobPlan(delete=tuple(active))
    restarts = sum(
        int(entry.get("restartCount") or 0) for pod in active for entry in status_of(pod).get("containerStatuses") or []
    )
    limit = _number(job, "backoffLimit", 6)
    if len(failed) > limit or (restarts and len(failed) + restarts > limit):
        text = "Job has reached the specified backoff limit"
        return JobPlan(delete=tuple(active), outcome="Failed", reason="BackoffLimitExceeded", message=text)
    left = deadline_left(job, now)
    if left <= 0:
        text = "Job was active longer than specified deadline"
        return JobPlan(delete=tuple(active), outcome="Failed", reason="DeadlineExceeded", message=text)
    again = left if left < float("inf") else None
    completions = spec_of(job).get("completions")
    done = _done_count(job, succeeded)
    if completions is None and succeeded:
        return JobPlan(outcome="" if active else "Complete", reason="CompletionsReached", again=again)
    if completions is not None and done >= int(completions):
        return JobPlan(delete=tuple(active), outcome="Complete", reason="CompletionsReached")
    parallel = _number(job, "parallelism", 1)
    wanted = parallel if completions is None else min(parallel, int(completions) - done)
    if len(active) > wanted:
        return JobPlan(delete=tuple(active[wanted:]), again=again)
    wait = retry_delay(failed, now)
    if len(active) < wanted and wait > 0:
        return JobPlan(again=wait if again is None else min(wait, again))
    return JobPlan(create=wanted - len(active), again=again)


def _done_count(job: Obj, succeeded: Sequence[Obj]) -> int:
    if spec_of(job).get("completionMode") == "Indexed":
        return len({labels_of(pod).get(INDEX_LABEL) for pod in succeeded})
    return len(succeeded)


def deadline_left(job: Obj, now: float) -> float:
    """Seconds until activeDeadlineSeconds is over."""
    seconds = spec_of(job).get("activeDeadlineSeconds")
    begun = parse_time(status_of(job).get("startTime"))
    if seconds is None or begun is None:
        return float("inf")
    return begun + float(seconds) - now


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


def missing_indexes(job: Obj, pods: Sequence[Obj], count: int) -> list[int]:
    """The lowest completion indexes without an active or succeeded pod."""
    held = {
        labels_of(pod).get(INDEX_LABEL) for pod in pods if pod_active(pod) or status_of(pod).get("phase") == "Succeeded"
    }
    free = [index for index in range(_number(job, "completions", 1)) if str(index) not in held]
    return free[:count]


def job_status(job: Obj, pods: Sequence[Obj], step: JobPlan, now: float) -> Obj:
    active = [pod for pod in pods if pod_active(pod)]
    before = status_of(job)
    status: Obj = {
        "active": 0 if step.outcome else len(active),
        "ready": 0 if step.outcome else sum(pod_ready(pod) for pod in active),
        "succeeded": sum(status_of(pod).get("phase") == "Succeeded" for pod in pods),
        "failed": sum(status_of(pod).get("phase") == "Failed" for pod in pods),
        "startTime": before.get("startTime") or (None if spec_of(job).get("suspend") else format_time(now)),
    }
    conditions = before.get("conditions") or []
    if step.outcome:
        conditions = merge_condition(
            conditions, kind=step.outcome, status="True", reason=step.reason, message=step.message, now=now
        )
        if step.outcome == "Complete":
            status["completionTime"] = format_time(now)
    if spec_of(job).get("suspend") or any(entry.get("type") == "Suspended" for entry in conditions):
        value = "True" if spec_of(job).get("suspend") else "False"
        reason = "JobSuspended" if value == "True" else "JobResumed"
        conditions = merge_condition(conditions, kind="Suspended", status=value, reason=reason, now=now)
    if conditions:
        status["conditions"] = conditions
    return status


class JobController(Controller):
    kind = JOBS

    def subscribe(self) -> None:
        self.caches.of(PODS).on_change(self.enqueue_owner)

    async def reconcile(self, obj: Obj) -> float | None:
        if is_deleting(obj):
            return None
        now = self.clock()
        if finished(obj):
            left = expiry_left(obj, now)
            if left is not None and left <= 0:
                await self.delete(JOBS, obj, policy="Foreground")
                return None
            return left
        pods = self.children(obj, PODS)
        step = plan(obj, pods, now)
        for pod in step.delete:
            await self.delete(PODS, pod)
        await self._create(obj, pods, step.create)
        await self.write_status(obj, job_status(obj, self.children(obj, PODS), step, now))
        if step.outcome:
            kind = self.events.normal if step.outcome == "Complete" else self.events.warning
            kind(obj, JOBS, "Completed" if step.outcome == "Complete" else step.reason, step.message or "Job completed")
            return _number(obj, "ttlSecondsAfterFinished", 0) if "ttlSecondsAfterFinished" in spec_of(obj) else None
        return None if step.again is None else step.again + 0.05

    async def _create(self, job: Obj, pods: Sequence[Obj], count: int) -> None:
        labels = {
            "batch.kubernetes.io/job-name": meta(job)["name"],
            "job-name": meta(job)["name"],
            "batch.kubernetes.io/controller-uid": uid_of(job),
            "controller-uid": uid_of(job),
        }
        indexed = spec_of(job).get("completionMode") == "Indexed"
        indexes: list[int | None] = [*missing_indexes(job, pods, count)] if indexed else [None] * count
        for index in indexes:
            own = labels if index is None else {**labels, INDEX_LABEL: str(index)}
            pod = pod_from_template(job, JOBS, spec_of(job).get("template") or {}, labels=own)
            if index is not None:
                pod["metadata"].setdefault("annotations", {})[INDEX_LABEL] = str(index)
                for container in pod["spec"].get("containers") or []:
                    container.setdefault("env", []).append({"name": "JOB_COMPLETION_INDEX", "value": str(index)})
            created = await self.create(PODS, pod)
            self.events.normal(job, JOBS, "SuccessfulCreate", f"Created pod: {meta(created)['name']}")
