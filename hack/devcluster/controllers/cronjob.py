"""CronJob: a Job at each time of the schedule.

Trap avoided: a controller that was down must not start every missed run; only the latest one counts.
"""

from collections.abc import Sequence
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hack.devcluster.client import Conflict
from hack.devcluster.controllers.base import Controller
from hack.devcluster.controllers.job import finished
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
)
from hack.devcluster.resources import CRON_JOBS, JOBS


def latest_due(schedule: Schedule, zone: tzinfo, *, since: float, now: float) -> float | None:
    """The last time of the schedule in (since, now], None when there is none."""
    due: float | None = None
    # A long gap is searched from its end: only the latest run counts.
    moment = max(since, now - 86_400 * 40)
    while (following := schedule.after(moment, zone)) is not None and following <= now:
        due = moment = following
    return due


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
            (job for job in jobs if condition_true(job, kind)), key=lambda job: str(meta(job).get("creationTimestamp"))
        )
        doomed.extend(done[: max(0, len(done) - keep)])
    return doomed


class CronJobController(Controller):
    kind = CRON_JOBS
    workers = 1

    def subscribe(self) -> None:
        self.caches.of(JOBS).on_change(self.enqueue_owner)

    async def reconcile(self, obj: Obj) -> float | None:
        if is_deleting(obj):
            return None
        try:
            schedule = Schedule.parse(str(spec_of(obj).get("schedule", "")))
            zone: tzinfo = ZoneInfo(spec_of(obj)["timeZone"]) if spec_of(obj).get("timeZone") else UTC
        except (ScheduleError, ZoneInfoNotFoundError, ValueError) as error:
            self.events.warning(obj, CRON_JOBS, "InvalidSchedule", str(error))
            return None
        jobs = self.children(obj, JOBS)
        now = self.clock()
        status: Obj = {}
        since = (
            parse_time(status_of(obj).get("lastScheduleTime")) or parse_time(meta(obj).get("creationTimestamp")) or now
        )
        due = None if spec_of(obj).get("suspend") else latest_due(schedule, zone, since=since, now=now)
        if due is not None and self._in_time(obj, due, now) and await self._start(obj, jobs, due):
            status["lastScheduleTime"] = format_time(due)
        for job in surplus_history(obj, jobs):
            await self.delete(JOBS, job)
        running = [job for job in self.children(obj, JOBS) if not finished(job)]
        status["active"] = [object_reference(job, JOBS) for job in running]
        await self.write_status(obj, status)
        following = schedule.after(now, zone)
        return None if following is None else max(following - self.clock(), 0.1)

    def _in_time(self, cron_job: Obj, due: float, now: float) -> bool:
        limit = spec_of(cron_job).get("startingDeadlineSeconds")
        return limit is None or now - due <= float(limit)

    async def _start(self, cron_job: Obj, jobs: Sequence[Obj], due: float) -> bool:
        """Create the Job as the concurrency policy allows; False when it must wait."""
        active = [job for job in jobs if not finished(job)]
        policy = spec_of(cron_job).get("concurrencyPolicy") or "Allow"
        if active and policy == "Forbid":
            return False
        if policy == "Replace":
            for job in active:
                await self.delete(JOBS, job)
        try:
            job = await self.create(JOBS, build_job(cron_job, due))
        except Conflict:
            return True
        self.events.normal(cron_job, CRON_JOBS, "SuccessfulCreate", f"Created job {name_of(job)}")
        return True
