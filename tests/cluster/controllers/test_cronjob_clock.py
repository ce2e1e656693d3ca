"""The CronJob controller with a clock of the test's own, against a real API.

The schedules are never due by the cluster's own clock, so that its controller starts nothing meanwhile.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from hack.devcluster.controllers.base import Caches
from hack.devcluster.controllers.cronjob import CronJobController
from hack.devcluster.events import EventRecorder
from hack.devcluster.objects import Obj, is_deleting, name_of
from hack.devcluster.resources import CRON_JOBS, JOBS
from tests.cluster.controllers.shapes import quick, sleeper
from tests.support.cluster import Space, eventually

START = datetime(2100, 1, 1, 0, 0, 30, tzinfo=UTC).timestamp()
DAY = 86_400.0
YEARLY = "0 0 1 1 *"

Look = Callable[[float], Awaitable[None]]


@asynccontextmanager
async def controller(space: Space) -> AsyncIterator[Look]:
    """A controller that looks at the CronJob `tick` at the moments it is told."""
    caches, now = Caches(space.client), [START]
    events = EventRecorder(space.client, component="suite", host="suite")
    mine = CronJobController(caches, events, lambda: now[0])
    tasks = [asyncio.create_task(informer.run()) for informer in caches.all()]

    async def look(moment: float) -> None:
        now[0] = moment
        found = await eventually(_known(caches, space), "the CronJob in the cache")
        await mine.reconcile(found)

    try:
        yield look
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _known(caches: Caches, space: Space) -> Callable[[], Awaitable[Obj | None]]:
    async def get() -> Obj | None:
        return caches.of(CRON_JOBS).get((space.name, "tick"))

    return get


async def tick(space: Space, **spec: Any) -> None:
    template = {"spec": {"template": quick("tick", sleeper(), restartPolicy="Never")}}
    await space.create(
        CRON_JOBS, {"metadata": {"name": "tick"}, "spec": {"schedule": YEARLY, "jobTemplate": template, **spec}}
    )


async def jobs(space: Space) -> set[str]:
    items = (await space.client.list(JOBS, space.name))["items"]
    return {name_of(one) for one in items if not is_deleting(one)}


FIRST = f"tick-{int(START // 60)}"


async def test_a_job_starts_once_at_its_time(space: Space) -> None:
    await tick(space)
    async with controller(space) as look:
        await look(START)
        await look(START + 5)
        assert await jobs(space) == {FIRST}
    found = await space.get(CRON_JOBS, "tick")
    assert found is not None
    assert found["status"]["lastScheduleTime"] == "2100-01-01T00:00:00Z"
    assert [entry["name"] for entry in found["status"]["active"]] == [FIRST]


async def test_forbid_waits_and_replace_replaces(space: Space) -> None:
    await tick(space, concurrencyPolicy="Forbid")
    async with controller(space) as look:
        await look(START)
        await look(START + 366 * DAY)
        assert await jobs(space) == {FIRST}
        await space.until_event("tick", ["JobAlreadyActive"])
        await space.client.patch(CRON_JOBS, (space.name, "tick"), {"spec": {"concurrencyPolicy": "Replace"}})
        await asyncio.sleep(0.2)
        await look(START + 366 * DAY)
        left = await jobs(space)
        assert FIRST not in left
        assert len(left) == 1


async def test_suspended_and_late_ones_do_not_start(space: Space) -> None:
    await tick(space, suspend=True)
    async with controller(space) as look:
        await look(START)
        assert await jobs(space) == set()
        late = {"spec": {"suspend": False, "startingDeadlineSeconds": 10}}
        await space.client.patch(CRON_JOBS, (space.name, "tick"), late)
        await asyncio.sleep(0.2)
        await look(START + 60)
        assert await jobs(space) == set()
