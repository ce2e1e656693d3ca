"""Jobs and CronJobs."""

import asyncio
from typing import Any

import pytest

from hack.devcluster.objects import Obj, condition, condition_true, name_of, status_of
from hack.devcluster.resources import CRON_JOBS, JOBS, PODS
from tests.cluster.controllers.shapes import quick, sleeper
from tests.support.cluster import Space, eventually, script

pytestmark = pytest.mark.slow

BY_INDEX = "import os,sys; sys.exit(int(os.environ['JOB_COMPLETION_INDEX'] in os.environ.get('BAD', '').split()))"


def job(name: str, main: Obj, **spec: Any) -> Obj:
    template = quick(name, main, restartPolicy="Never")
    return {"metadata": {"name": name}, "spec": {"template": template, **spec}}


def indexed(bad: str = "") -> Obj:
    return script(BY_INDEX, env=[{"name": "BAD", "value": bad}])


async def until_complete(space: Space, name: str) -> Obj:
    return await space.until(JOBS, name, lambda found: condition_true(found, "Complete"), "complete")


async def until_failed(space: Space, name: str) -> Obj:
    return await space.until(JOBS, name, lambda found: condition_true(found, "Failed"), "failed")


async def test_an_indexed_job_runs_each_index_once(space: Space) -> None:
    await space.create(JOBS, job("work", indexed(), completions=4, parallelism=2, completionMode="Indexed"))
    status = status_of(await until_complete(space, "work"))
    assert (status["succeeded"], status["completedIndexes"]) == (4, "0-3")
    assert [entry["type"] for entry in status["conditions"]] == ["SuccessCriteriaMet", "Complete"]
    pods = await space.pods("job-name=work")
    indexes = {pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for pod in pods}
    assert indexes == {"0", "1", "2", "3"}
    assert not any(pod["metadata"].get("finalizers") for pod in pods)


async def test_an_index_that_fails_fails_alone(space: Space) -> None:
    body = job("work", indexed("1"), completions=3, parallelism=3, completionMode="Indexed", backoffLimitPerIndex=0)
    await space.create(JOBS, body)
    status = status_of(await until_failed(space, "work"))
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1")
    assert status["conditions"][-1]["reason"] == "FailedIndexes"


async def test_success_may_be_declared_early(space: Space) -> None:
    slow = script(f"import time,os\nif os.environ['JOB_COMPLETION_INDEX'] != '0': time.sleep(600)\n{BY_INDEX}")
    policy = {"rules": [{"succeededIndexes": "0"}]}
    body = job("work", slow, completions=2, parallelism=2, completionMode="Indexed", successPolicy=policy)
    await space.create(JOBS, body)
    found = await until_complete(space, "work")
    assert (condition(found, "SuccessCriteriaMet") or {})["reason"] == "SuccessPolicy"
    assert status_of(found)["completedIndexes"] == "0"


async def test_failure_policies(space: Space) -> None:
    def rules(action: str) -> Obj:
        return {"rules": [{"action": action, "onExitCodes": {"operator": "In", "values": [42]}}]}

    body = job("stop", script("raise SystemExit(42)"), backoffLimit=5, podFailurePolicy=rules("FailJob"))
    await space.create(JOBS, body)
    await space.create(JOBS, job("limit", script("raise SystemExit(1)"), backoffLimit=0))
    found = await until_failed(space, "stop")
    assert (condition(found, "Failed") or {})["reason"] == "PodFailurePolicy"
    assert "exit code 42" in (condition(found, "Failed") or {})["message"]
    found = await until_failed(space, "limit")
    assert [entry["type"] for entry in status_of(found)["conditions"]] == ["FailureTarget", "Failed"]
    assert (condition(found, "Failed") or {})["reason"] == "BackoffLimitExceeded"
    assert status_of(found)["failed"] == 1


async def test_a_deadline_ends_a_job(space: Space) -> None:
    await space.create(JOBS, job("slow", sleeper(), activeDeadlineSeconds=1))
    found = await until_failed(space, "slow")
    assert (condition(found, "Failed") or {})["reason"] == "DeadlineExceeded"

    async def stopped() -> bool:
        return all(status_of(pod).get("phase") != "Running" for pod in await space.pods("job-name=slow"))

    await eventually(stopped, "no pod left running")


async def test_suspend_and_resume(space: Space) -> None:
    await space.create(JOBS, job("work", script("pass"), suspend=True))
    await space.until(JOBS, "work", lambda one: condition_true(one, "Suspended"), "suspended")
    assert await space.pods("job-name=work") == []
    await space.client.patch(JOBS, (space.name, "work"), {"spec": {"suspend": False}})
    found = await until_complete(space, "work")
    assert (condition(found, "Suspended") or {})["status"] == "False"


async def test_a_finished_job_goes_after_its_time(space: Space) -> None:
    await space.create(JOBS, job("brief", script("pass"), ttlSecondsAfterFinished=1))
    await space.until_gone(JOBS, "brief")

    async def gone() -> bool:
        return not await space.pods("job-name=brief")

    await eventually(gone, "its pods are gone too")


async def test_a_deleted_pod_counts_as_failed_and_is_replaced(space: Space) -> None:
    await space.create(JOBS, job("work", sleeper(), backoffLimit=3))

    async def running() -> Obj | None:
        pods = await space.pods("job-name=work")
        return next((pod for pod in pods if status_of(pod).get("phase") == "Running"), None)

    pod = await eventually(running, "a running pod")
    await space.client.delete(PODS, (space.name, name_of(pod)))
    await space.until_gone(PODS, name_of(pod))
    await space.until(JOBS, "work", lambda one: status_of(one).get("failed") == 1, "one failed")
    await space.client.delete(JOBS, (space.name, "work"), policy="Background")
    await space.until_gone(JOBS, "work")

    async def none_left() -> bool:
        return not await space.pods("job-name=work")

    await eventually(none_left, "no pod held by its finalizer")


@pytest.mark.slow
async def test_a_schedule_starts_a_job(space: Space) -> None:
    template = {"spec": {"template": quick("tick", script("print('tick')"), restartPolicy="Never")}}
    body = {"metadata": {"name": "tick"}, "spec": {"schedule": "* * * * *", "jobTemplate": template}}
    await space.create(CRON_JOBS, body)
    held = {"metadata": {"name": "held"}, "spec": {**body["spec"], "suspend": True}}
    await space.create(CRON_JOBS, held)

    async def done() -> Obj | None:
        jobs = (await space.client.list(JOBS, space.name))["items"]
        return next((one for one in jobs if condition_true(one, "Complete")), None)

    started = await eventually(done, "a Job of the schedule", patience=100)
    assert name_of(started).startswith("tick-")
    assert started["metadata"]["ownerReferences"][0]["name"] == "tick"
    found = await space.until(CRON_JOBS, "tick", lambda one: bool(status_of(one).get("lastSuccessfulTime")), "success")
    assert status_of(found)["lastScheduleTime"]
    await asyncio.sleep(1)
    names = [name_of(one) for one in (await space.client.list(JOBS, space.name))["items"]]
    assert not any(name.startswith("held-") for name in names)
