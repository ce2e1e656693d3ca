"""The count of finished pods, which survives the pods' deletion. Pure.

A finished pod keeps a finalizer until its uid is in `status.uncountedTerminatedPods`; then the finalizer goes; then
the uid becomes a number. Trap avoided: a pod counted twice, or never, when the controller dies in between.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from hack.devcluster.controllers import job_pods
from hack.devcluster.controllers.job_indexes import format_indexes, parse_indexes
from hack.devcluster.objects import Obj, status_of, uid_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counted results, uids on their way into them, completed indexes."""

    succeeded: int = 0
    failed: int = 0
    new_succeeded: frozenset[str] = frozenset()
    new_failed: frozenset[str] = frozenset()
    completed: frozenset[int] = frozenset()
    settled: tuple[Obj, ...] = field(default=(), compare=False)
    """Pods whose finalizer may go."""

    @property
    def all_succeeded(self) -> int:
        return self.succeeded + len(self.new_succeeded)

    @property
    def all_failed(self) -> int:
        return self.failed + len(self.new_failed)


def read_tally(job: Obj) -> Tally:
    status = status_of(job)
    uncounted = status.get("uncountedTerminatedPods") or {}
    return Tally(
        succeeded=int(status.get("succeeded") or 0),
        failed=int(status.get("failed") or 0),
        new_succeeded=frozenset(uncounted.get("succeeded") or []),
        new_failed=frozenset(uncounted.get("failed") or []),
        completed=frozenset(parse_indexes(status.get("completedIndexes"))),
    )


def take_in(job: Obj, tally: Tally, pods: Sequence[Obj], *, ending: bool = False) -> Tally:
    """Add the pods that finished since; `ending` (the Job is over) frees all pods."""
    new_succeeded, new_failed, completed = set(tally.new_succeeded), set(tally.new_failed), set(tally.completed)
    settled: list[Obj] = []
    least = len(parse_range(job))
    for pod in pods:
        if not job_pods.tracked(pod):
            continue
        uid, index = uid_of(pod), job_pods.index_of(pod)
        if job_pods.succeeded(pod):
            settled.append(pod)
            if not job_pods.indexed(job):
                new_succeeded.add(uid)
            elif 0 <= index < least:
                completed.add(index)
        elif job_pods.failed(job, pod):
            settled.append(pod)
            if job_pods.judge(job, pod).action != "Ignore":
                new_failed.add(uid)
        elif ending:
            # Deleted for the Job's end: neither a success nor, unless it ran into its end by itself, a failure.
            settled.append(pod)
            new_failed.add(uid)
    succeeded = len(completed) if job_pods.indexed(job) else tally.succeeded
    return replace(
        tally,
        succeeded=succeeded,
        new_succeeded=frozenset(new_succeeded),
        new_failed=frozenset(new_failed),
        completed=frozenset(completed),
        settled=tuple(settled),
    )


def parse_range(job: Obj) -> range:
    return range(job_pods.number(job, "completions", 1))


def fold(tally: Tally, still_tracked: Iterable[str]) -> Tally:
    """Turn the uids whose pods carry no finalizer any more into numbers."""
    held = frozenset(still_tracked)
    return replace(
        tally,
        succeeded=tally.succeeded + len(tally.new_succeeded - held),
        failed=tally.failed + len(tally.new_failed - held),
        new_succeeded=tally.new_succeeded & held,
        new_failed=tally.new_failed & held,
        settled=(),
    )


def tally_status(job: Obj, tally: Tally) -> Obj:
    """The fields of status that hold it."""
    uncounted: Obj = {}
    if tally.new_succeeded:
        uncounted["succeeded"] = sorted(tally.new_succeeded)
    if tally.new_failed:
        uncounted["failed"] = sorted(tally.new_failed)
    before = status_of(job).get("uncountedTerminatedPods") or {}
    # A merge patch keeps what is not named: the emptied half is named with null.
    gone = dict.fromkeys(key for key in before if key not in uncounted)
    fields: Obj = {
        "succeeded": tally.succeeded or (0 if status_of(job).get("succeeded") else None),
        "failed": tally.failed or (0 if status_of(job).get("failed") else None),
        "uncountedTerminatedPods": {**gone, **uncounted},
    }
    if job_pods.indexed(job):
        fields["completedIndexes"] = format_indexes(tally.completed) or None
    return fields
