"""CronJob: a Job at each time of the schedule.

Source: pkg/controller/cronjob (cronjob_controllerv2.go, utils.go). Trap avoided: a controller that was down must not
start every missed run; only the latest one counts, and a hundred missed ones are told in an event.
"""

from collections.abc import Sequence
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hack.devcluster.client import Conflict
from hack.devcluster.controllers.base import Controller
from hack.devcluster.controllers.job_status import finished
from hack.devcluster.controllers.schedule import Schedule, ScheduleError
from hack.devcluster.objects import (
    Obj,
    clone,
    condition_true,
    format_time,
    is_deleting,
    meta,
    name_of,
    namespace_of,
    object_reference,
    owner_reference,
    parse_time,
    spec_of,
    status_of,
    uid_of,
)
from hack.devcluster.resources import CRON_JOBS, JOBS

MANY_MISSED = 100
_SLACK = 0.1


def latest_due(schedule: Schedule, zone: tzinfo, *, since: float, now: float) -> tuple[float | None, int]:
    """(the last time of the schedule in (since, now] or None, about how many there are)."""
    first = schedule.after(since, zone)
    if first is None or first > now:
        return None, 0
    second = schedule.after(first, zone)
    if second is None or second > now:
        return first, 1
    gap = second - first
    missed = int((now - first) // gap) + 1
    # From the end, further and further back: an uneven schedule has longer gaps than the first one.
    look = gap * 2
    while True:
        due, moment = None, max(first - 1, now - look)
        while (following := schedule.after(moment, zone)) is not None and following <= now:
            due = moment = following
        if due is not None:
            return due, missed
        look *= 2


def search_start(cron_job: Obj, now: float) -> float:
    """From when on missed runs count: the last run or the creation, at most startingDeadlineSeconds ago."""
    last, made = status_of(cron_job).get("lastScheduleTime"), meta(cron_job).get("creationTimestamp")
    since = parse_time(last) or parse_time(made) or now
    deadline = spec_of(cron_job).get("startingDeadlineSeconds")
    return since if deadline is None else max(since, now - float(deadline))


def build_job(cron_job: Obj, due: float) -> Obj:
    """The Job of one time; its name is made of the time, so that a second attempt conflicts instead of doubling."""
    template = clone(spec_of(cron_job).get("jobTemplate") or {})
    metadata = template.get("metadata") or {}
    return {
        "metadata": {
            "name": f"{name_of(cron_job)[:52]}-{int(due // 60)}",
            "namespace": namespace_of(cron_job),
            "labels": metadata.get("labels") or {},
            "annotations": {
                **(metadata.get("annotations") or {}),
                "batch.kubernetes.io/cronjob-scheduled-timestamp": format_time(due),
            },
            "ownerReferences": [owner_reference(cron_job, CRON_JOBS)],
        },
        "spec": template.get("spec") or {},
    }


def surplus_history(cron_job: Obj, jobs: Sequence[Obj]) -> list[Obj]:
    """Finished Jobs beyond the two history limits, oldest first."""
    doomed: list[Obj] = []
    for kind, name, default in (("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)):
        value = spec_of(cron_job).get(name)
        keep = default if value is None else int(value)
        done = sorted(
            (job for job in jobs if condition_true(job, kind)),
            key=lambda job: (str(status_of(job).get("startTime") or meta(job).get("creationTimestamp")), name_of(job)),
        )
        doomed.extend(done[: max(0, len(done) - keep)])
    return doomed


def last_success(cron_job: Obj, jobs: Sequence[Obj]) -> str | None:
    """status.lastSuccessfulTime; stamps of one format compare as text."""
    ends = [str(status_of(job)["completionTime"]) for job in jobs if status_of(job).get("completionTime")]
    known = status_of(cron_job).get("lastSuccessfulTime")
    return max([*ends, *([str(known)] if known else [])], default=None)


class CronJobController(Controller):
    kind = CRON_JOBS
    workers = 1

    def subscribe(self) -> None:
        self.caches.of(JOBS).on_change(self.enqueue_owner)

    async def reconcile(self, obj: Obj) -> float | None:
        if is_deleting(obj):
            return None
        status: Obj = {}
        await self._tidy(obj, status)
        again: float | None = None
        parsed = self._parse(obj)
        if parsed is not None and not spec_of(obj).get("suspend"):
            again = await self._run_due(obj, *parsed, status)
        running = [job for job in self.children(obj, JOBS) if not finished(job) and not is_deleting(job)]
        status["active"] = [object_reference(job, JOBS) for job in running] or None
        await self.write_status(obj, status)
        return again

    async def _tidy(self, cron_job: Obj, status: Obj) -> None:
        """Tell of Jobs that ended, note the last success, delete old ones."""
        jobs = self.children(cron_job, JOBS)
        known = {entry.get("uid") for entry in status_of(cron_job).get("active") or []}
        for job in jobs:
            if uid_of(job) in known and finished(job):
                end = "Complete" if condition_true(job, "Complete") else "Failed"
                text = f"Saw completed job: {name_of(job)}, condition: {end}"
                self.events.normal(cron_job, CRON_JOBS, "SawCompletedJob", text)
        success = last_success(cron_job, jobs)
        if success is not None:
            status["lastSuccessfulTime"] = success
        for job in surplus_history(cron_job, jobs):
            await self.delete(JOBS, job)
            self.events.normal(cron_job, CRON_JOBS, "SuccessfulDelete", f"Deleted job {name_of(job)}")

    def _parse(self, cron_job: Obj) -> tuple[Schedule, tzinfo] | None:
        spec = spec_of(cron_job)
        try:
            zone: tzinfo = ZoneInfo(spec["timeZone"]) if spec.get("timeZone") else UTC
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            text = f'invalid timeZone: "{spec["timeZone"]}": {error}'
            self.events.warning(cron_job, CRON_JOBS, "UnknownTimeZone", text)
            return None
        try:
            return Schedule.parse(str(spec.get("schedule", ""))), zone
        except ScheduleError as error:
            text = f'unparseable schedule: "{spec.get("schedule")}" : {error}'
            self.events.warning(cron_job, CRON_JOBS, "UnparseableSchedule", text)
            return None

    async def _run_due(self, cron_job: Obj, schedule: Schedule, zone: tzinfo, status: Obj) -> float | None:
        """Start what is due; seconds until the next time."""
        now = self.clock()
        due, missed = latest_due(schedule, zone, since=search_start(cron_job, now), now=now)
        if missed > MANY_MISSED:
            text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            self.events.warning(cron_job, CRON_JOBS, "TooManyMissedTimes", text)
        if due is not None:
            await self._start(cron_job, due, status)
        following = schedule.after(now, zone)
        return None if following is None else max(following - self.clock(), 0.0) + _SLACK

    async def _start(self, cron_job: Obj, due: float, status: Obj) -> None:
        """Create the Job as the concurrency policy allows."""
        active = [job for job in self.children(cron_job, JOBS) if not finished(job) and not is_deleting(job)]
        policy = spec_of(cron_job).get("concurrencyPolicy") or "Allow"
        wanted = build_job(cron_job, due)
        if any(name_of(job) == name_of(wanted) for job in self.children(cron_job, JOBS)):
            status["lastScheduleTime"] = format_time(due)
            return
        if active and policy == "Forbid":
            text = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.events.normal(cron_job, CRON_JOBS, "JobAlreadyActive", text)
            return
        if policy == "Replace":
            for job in active:
                await self.delete(JOBS, job)
                self.events.normal(cron_job, CRON_JOBS, "SuccessfulDelete", f"Deleted job {name_of(job)}")
        try:
            created = await self.create(JOBS, wanted)
        except Conflict:
            status["lastScheduleTime"] = format_time(due)
            return
        self.events.normal(cron_job, CRON_JOBS, "SuccessfulCreate", f"Created job {name_of(created)}")
        status["lastScheduleTime"] = format_time(due)
