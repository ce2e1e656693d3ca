"""The next step of a Job. Pure.

Source: pkg/controller/job (job_controller.go, backoff_utils.go, indexed_job_utils.go, success_policy.go). A Job ends in
two steps: first SuccessCriteriaMet or FailureTarget, then, when no pod of it runs any more, Complete or Failed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hack.devcluster.controllers import job_pods as pods_
from hack.devcluster.controllers.job_indexes import parse_indexes
from hack.devcluster.controllers.job_tally import Tally, parse_range
from hack.devcluster.objects import Obj, condition, name_of, parse_time, pod_ready, spec_of, status_of

BASE_BACKOFF = 10.0
MAX_BACKOFF = 600.0
_MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """Pods to create (index or None each) and delete, the outcome if there is one, and when to look again."""

    create: tuple[int | None, ...] = ()
    delete: tuple[Obj, ...] = ()
    outcome: str = ""
    """Empty, SuccessCriteriaMet or FailureTarget."""
    reason: str = ""
    message: str = ""
    ended: bool = False
    """No pod is left: the terminal condition may be set."""
    failed_indexes: frozenset[int] = frozenset()
    again: float | None = None


@dataclass(frozen=True, slots=True)
class _Verdict:
    kind: str
    reason: str
    message: str


def plan(job: Obj, pods: Sequence[Obj], tally: Tally, now: float) -> JobPlan:
    """The next step of a Job that has no terminal condition."""
    live = [pod for pod in pods if pods_.active(pod)]
    leaving = [pod for pod in pods if pods_.terminating(pod)]
    lost = failed_indexes(job, pods, tally)
    verdict = _standing(job) or _failure(job, pods, tally, lost, now) or _success(job, tally)
    if verdict is None:
        verdict = _all_done(job, tally, lost, live)
    if verdict is not None:
        return JobPlan(
            delete=tuple(live),
            outcome=verdict.kind,
            reason=verdict.reason,
            message=verdict.message,
            ended=not live and not leaving,
            failed_indexes=lost,
        )
    if spec_of(job).get("suspend"):
        return JobPlan(delete=tuple(live), failed_indexes=lost)
    step = _manage(job, pods, live, leaving, tally, lost, now)
    left = deadline_left(job, now)
    if left < float("inf"):
        step = replace(step, again=left if step.again is None else min(left, step.again))
    return replace(step, failed_indexes=lost)


def _standing(job: Obj) -> _Verdict | None:
    """What was decided before and waits for the last pod's end."""
    for kind in ("FailureTarget", "SuccessCriteriaMet"):
        found = condition(job, kind)
        if found is not None and found.get("status") == "True":
            return _Verdict(kind, str(found.get("reason", "")), str(found.get("message", "")))
    return None


def _failure(job: Obj, pods: Sequence[Obj], tally: Tally, lost: frozenset[int], now: float) -> _Verdict | None:
    for pod in pods:
        if pods_.failed(job, pod) and (judged := pods_.judge(job, pod)).action == "FailJob":
            return _Verdict("FailureTarget", "PodFailurePolicy", judged.message)
    limit = _backoff_limit(job)
    if tally.all_failed > limit or _too_many_restarts(job, pods, limit):
        return _Verdict("FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if deadline_left(job, now) <= 0 and not spec_of(job).get("suspend"):
        return _Verdict("FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline")
    most = spec_of(job).get("maxFailedIndexes")
    if most is not None and len(lost) > int(most):
        text = "Job has exceeded the specified maximal number of failed indexes"
        return _Verdict("FailureTarget", "MaxFailedIndexesExceeded", text)
    return None


def _backoff_limit(job: Obj) -> int:
    default = 2**31 - 1 if spec_of(job).get("backoffLimitPerIndex") is not None else 6
    return pods_.number(job, "backoffLimit", default)


def _too_many_restarts(job: Obj, pods: Sequence[Obj], limit: int) -> bool:
    """Restarts in place count only under restartPolicy OnFailure."""
    template = (spec_of(job).get("template") or {}).get("spec") or {}
    if template.get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(
        int(entry.get("restartCount") or 0)
        for pod in pods
        if pods_.active(pod)
        for key in ("containerStatuses", "initContainerStatuses")
        for entry in status_of(pod).get(key) or []
    )
    return restarts > 0 if limit == 0 else restarts >= limit


def _success(job: Obj, tally: Tally) -> _Verdict | None:
    """spec.successPolicy of an Indexed Job."""
    if not pods_.indexed(job):
        return None
    for position, rule in enumerate((spec_of(job).get("successPolicy") or {}).get("rules") or []):
        named = rule.get("succeededIndexes")
        counted = tally.completed & parse_indexes(named) if named is not None else tally.completed
        wanted = rule.get("succeededCount")
        enough = len(counted) >= int(wanted) if wanted is not None else counted >= parse_indexes(named)
        if enough and (wanted is not None or named is not None):
            return _Verdict("SuccessCriteriaMet", "SuccessPolicy", f"Matched rules at index {position}")
    return None


def _all_done(job: Obj, tally: Tally, lost: frozenset[int], live: Sequence[Obj]) -> _Verdict | None:
    completions = spec_of(job).get("completions")
    if completions is None:
        done = tally.all_succeeded > 0 and not live
    else:
        done = tally.all_succeeded >= int(completions)
        if not done and lost and tally.all_succeeded + len(lost) >= int(completions):
            return _Verdict("FailureTarget", "FailedIndexes", "Job has failed indexes")
    if not done:
        return None
    return _Verdict("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods")


def failed_indexes(job: Obj, pods: Sequence[Obj], tally: Tally) -> frozenset[int]:
    """Indexes that failed more often than backoffLimitPerIndex, or by FailIndex; they stay failed."""
    if spec_of(job).get("backoffLimitPerIndex") is None:
        return frozenset()
    limit = int(spec_of(job)["backoffLimitPerIndex"])
    found = parse_indexes(status_of(job).get("failedIndexes"))
    for pod in pods:
        if not pods_.failed(job, pod):
            continue
        judged, index = pods_.judge(job, pod), pods_.index_of(pod)
        over = judged.action == "Count" and pods_.failures_noted(pod) >= limit
        if (over or judged.action == "FailIndex") and index in parse_range(job) and index not in tally.completed:
            found.add(index)
    return frozenset(found - tally.completed)


def _manage(
    job: Obj,
    pods: Sequence[Obj],
    live: Sequence[Obj],
    leaving: Sequence[Obj],
    tally: Tally,
    lost: frozenset[int],
    now: float,
) -> JobPlan:
    """Create or delete towards the parallelism."""
    parallel, completions = pods_.number(job, "parallelism", 1), spec_of(job).get("completions")
    if completions is None:
        wanted = len(live) if tally.all_succeeded else parallel
    else:
        wanted = min(parallel, max(0, int(completions) - tally.all_succeeded - len(lost)))
    doomed = _surplus(job, live, wanted)
    if doomed:
        return JobPlan(delete=tuple(doomed))
    held = len(leaving) if pods_.waits_for_end(job) else 0
    missing = min(wanted - len(live) - held, _MOST_AT_ONCE)
    if missing <= 0:
        return JobPlan()
    if not pods_.indexed(job):
        wait = retry_delay(job, pods, now)
        return JobPlan(again=wait) if wait > 0 else JobPlan(create=(None,) * missing)
    return _missing_indexes(job, pods, live, leaving, tally, lost, missing, now)


def _surplus(job: Obj, live: Sequence[Obj], wanted: int) -> list[Obj]:
    """Second pods of an index and indexes out of range first, then those that are least far."""
    doomed: list[Obj] = []
    kept: list[Obj] = []
    seen: set[int] = set()
    for pod in sorted(live, key=_progress, reverse=True):
        index = pods_.index_of(pod)
        out = pods_.indexed(job) and (index in seen or index not in parse_range(job))
        (doomed if out else kept).append(pod)
        seen.add(index)
    # Furthest first, hence from the end.
    return [*doomed, *kept[max(0, wanted) :]]


def _progress(pod: Obj) -> tuple[bool, bool, bool, str]:
    begun = str((pod.get("metadata") or {}).get("creationTimestamp") or "")
    # An older pod is further; stamps of one format compare as text, turned around.
    turned = "".join(chr(0x10FFFF - ord(letter)) for letter in begun)
    return bool(spec_of(pod).get("nodeName")), pods_.phase_of(pod) == "Running", pod_ready(pod), turned


def _missing_indexes(
    job: Obj,
    pods: Sequence[Obj],
    live: Sequence[Obj],
    leaving: Sequence[Obj],
    tally: Tally,
    lost: frozenset[int],
    missing: int,
    now: float,
) -> JobPlan:
    """The lowest free indexes; with backoffLimitPerIndex each waits for its own failures only."""
    taken = {pods_.index_of(pod) for pod in live} | tally.completed | lost
    if pods_.waits_for_end(job):
        taken |= {pods_.index_of(pod) for pod in leaving}
    free = [index for index in parse_range(job) if index not in taken]
    if spec_of(job).get("backoffLimitPerIndex") is None:
        wait = retry_delay(job, pods, now)
        return JobPlan(again=wait) if wait > 0 else JobPlan(create=tuple(free[:missing]))
    waits = {index: _index_delay(job, pods, index, now) for index in free}
    ripe = [index for index in free if waits[index] <= 0]
    later = [wait for wait in waits.values() if wait > 0]
    return JobPlan(create=tuple(ripe[:missing]), again=min(later) if later else None)


def retry_delay(job: Obj, pods: Sequence[Obj], now: float) -> float:
    """Seconds until a failed pod may be replaced: 10 s, doubling to 10 min with each failure since a success."""
    failed = [pod for pod in pods if pods_.failed(job, pod) and pods_.judge(job, pod).action != "Ignore"]
    times = pods_.retry_times(failed, [pod for pod in pods if pods_.succeeded(pod)])
    return _wait(len(times), times[-1] if times else 0.0, now)


def _index_delay(job: Obj, pods: Sequence[Obj], index: int, now: float) -> float:
    last = last_failed(job, pods, index)
    return 0.0 if last is None else _wait(pods_.failures_noted(last) + 1, pods_.finish_time(last), now)


def last_failed(job: Obj, pods: Sequence[Obj], index: int) -> Obj | None:
    """The newest failed pod of an index."""
    found = [pod for pod in pods if pods_.index_of(pod) == index and pods_.failed(job, pod)]
    return max(found, key=lambda pod: (pods_.failures_noted(pod), pods_.finish_time(pod), name_of(pod)), default=None)


def _wait(failures: int, last: float, now: float) -> float:
    if not failures:
        return 0.0
    return max(0.0, last + min(BASE_BACKOFF * float(1 << min(failures - 1, 16)), MAX_BACKOFF) - now)


def deadline_left(job: Obj, now: float) -> float:
    """Seconds until activeDeadlineSeconds is over."""
    seconds = spec_of(job).get("activeDeadlineSeconds")
    begun = parse_time(status_of(job).get("startTime"))
    if seconds is None or begun is None:
        return float("inf")
    return begun + float(seconds) - now
