"""Job plans, counts and policies."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.devcluster.controllers import job_pods
from hack.devcluster.controllers.job import build_pod
from hack.devcluster.controllers.job_indexes import format_indexes, parse_indexes
from hack.devcluster.controllers.job_plan import JobPlan, plan
from hack.devcluster.controllers.job_status import final_status, job_status
from hack.devcluster.controllers.job_tally import fold, read_tally, take_in
from hack.devcluster.objects import Obj, condition_true, format_time, name_of, uid_of

NOW = 4e9


def work(*, status: Obj | None = None, **spec: Any) -> Obj:
    return {
        "metadata": {"name": "j", "namespace": "n", "uid": "u"},
        "spec": {"completions": 3, "parallelism": 2, **spec},
        "status": status or {},
    }


def pod(
    name: str, phase: str = "Running", *, index: int | None = None, code: int = 1, at: float = 0.0, **meta: Any
) -> Obj:
    notes = dict(meta.pop("notes", {}))
    if index is not None:
        notes[job_pods.INDEX] = str(index)
    state: Obj = {}
    if phase in ("Failed", "Succeeded"):
        state = {"terminated": {"exitCode": code if phase == "Failed" else 0, "finishedAt": format_time(at)}}
    return {
        "metadata": {
            "name": name,
            "namespace": "n",
            "uid": name,
            "annotations": notes,
            "finalizers": [job_pods.FINALIZER],
            **meta,
        },
        "spec": {"nodeName": "haat"},
        "status": {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]},
    }


def step_of(job: Obj, pods: list[Obj], now: float = NOW) -> JobPlan:
    return plan(job, pods, take_in(job, read_tally(job), pods), now)


@pytest.mark.parametrize(
    ("spec", "phases", "create", "reason"),
    [
        ({}, [], 2, ""),
        ({}, ["Running"], 1, ""),
        ({}, ["Succeeded", "Succeeded"], 1, ""),
        ({}, ["Succeeded"] * 3, 0, "CompletionsReached"),
        ({"backoffLimit": 0}, ["Failed"], 0, "BackoffLimitExceeded"),
        ({"backoffLimit": 1}, ["Failed"], 2, ""),
        ({"suspend": True}, [], 0, ""),
        ({"completions": None}, ["Succeeded"], 0, "CompletionsReached"),
        ({"completions": None}, ["Succeeded", "Running"], 0, ""),
        ({"completions": 0}, [], 0, "CompletionsReached"),
    ],
)
def test_steps(spec: Obj, phases: list[str], create: int, reason: str) -> None:
    step = step_of(work(**spec), [pod(f"p{index}", phase) for index, phase in enumerate(phases)])
    assert (len(step.create), step.reason) == (create, reason)


def test_a_failed_pod_is_replaced_after_ten_seconds_and_twice_as_long_again() -> None:
    one = step_of(work(), [pod("a", "Failed", at=1000)], 1004)
    assert (one.create, one.again) == ((), 6.0)
    two = step_of(work(), [pod("a", "Failed", at=1000), pod("b", "Failed", at=1010)], 1010)
    assert two.again == 20.0
    # A success in between starts anew.
    three = step_of(
        work(), [pod("a", "Failed", at=1000), pod("b", "Succeeded", at=1005), pod("c", "Failed", at=1010)], 1010
    )
    assert three.again == 10.0


def test_indexes_are_the_lowest_free_ones() -> None:
    job = work(completionMode="Indexed", completions=5, parallelism=3)
    step = step_of(job, [pod("a", index=1), pod("b", "Succeeded", index=0)])
    assert step.create == (2, 3)


def test_surplus_pods_of_an_index_go() -> None:
    job = work(completionMode="Indexed", completions=2)
    step = step_of(job, [pod("a", index=1), pod("b", index=1), pod("c", index=7), pod("d", index=0)])
    assert sorted(name_of(one) for one in step.delete)[-1] == "c"
    assert len(step.delete) == 2


def test_a_smaller_parallelism_deletes_what_is_least_far() -> None:
    step = step_of(work(parallelism=1), [pod("a"), pod("b", "Pending")])
    assert [name_of(one) for one in step.delete] == ["b"]


def test_the_end_waits_for_the_last_pod() -> None:
    job = work(completions=None)
    deadline = work(activeDeadlineSeconds=5, status={"startTime": format_time(100)})
    running = step_of(deadline, [pod("a")], 200)
    assert (running.outcome, running.reason, running.ended) == ("FailureTarget", "DeadlineExceeded", False)
    leaving = step_of(deadline, [pod("a", deletionTimestamp=format_time(200))], 200)
    assert not leaving.ended
    assert step_of(deadline, [], 200).ended
    assert step_of(job, [pod("a", "Succeeded")]).ended


def test_restarts_in_place_count_under_on_failure_only() -> None:
    one = pod("a")
    one["status"]["containerStatuses"][0]["restartCount"] = 3
    template = {"spec": {"restartPolicy": "OnFailure"}}
    assert step_of(work(backoffLimit=3, template=template), [one]).reason == "BackoffLimitExceeded"
    assert step_of(work(backoffLimit=4, template=template), [one]).reason == ""
    assert step_of(work(backoffLimit=3), [one]).reason == ""


def rules(*entries: Obj) -> Obj:
    return {"podFailurePolicy": {"rules": list(entries)}, "backoffLimit": 0}


def codes(action: str, *values: int, operator: str = "In") -> Obj:
    return {"action": action, "onExitCodes": {"operator": operator, "values": list(values)}}


def test_pod_failure_policy() -> None:
    failed = [pod("a", "Failed", code=42)]
    ended = step_of(work(**rules(codes("FailJob", 42))), failed)
    assert ended.reason == "PodFailurePolicy"
    assert ended.message == "Container main for pod n/a failed with exit code 42 matching FailJob rule at index 0"
    assert step_of(work(**rules(codes("Ignore", 42))), failed).create == (None, None)
    assert step_of(work(**rules(codes("Count", 42))), failed).reason == "BackoffLimitExceeded"
    assert step_of(work(**rules(codes("Ignore", 1, operator="NotIn"))), failed).reason == ""
    disrupted = pod("b", "Failed")
    disrupted["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True"}]
    ignored = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    assert step_of(work(**rules(ignored)), [disrupted]).reason == ""


def per_index(**spec: Any) -> Obj:
    return work(completionMode="Indexed", completions=2, backoffLimitPerIndex=1, backoffLimit=2**31 - 1, **spec)


def test_backoff_limit_per_index() -> None:
    once = pod("a", "Failed", index=0, at=100, notes={job_pods.FAILURES: "0"})
    assert step_of(per_index(), [once], 200).create == (0, 1)
    retry = build_pod(per_index(template={"spec": {"containers": [{"name": "c"}]}}), [once], 0)
    assert retry["metadata"]["annotations"][job_pods.FAILURES] == "1"
    twice = pod("b", "Failed", index=0, at=120, notes={job_pods.FAILURES: "1"})
    step = step_of(per_index(), [once, twice], 200)
    assert (step.failed_indexes, step.create) == ({0}, (1,))
    other = pod("c", "Succeeded", index=1)
    assert step_of(per_index(), [once, twice, other], 200).reason == "FailedIndexes"
    assert step_of(per_index(maxFailedIndexes=0), [once, twice], 200).reason == "MaxFailedIndexesExceeded"


def test_an_index_fails_at_once_by_policy() -> None:
    job = per_index(podFailurePolicy={"rules": [codes("FailIndex", 7)]})
    assert step_of(job, [pod("a", "Failed", index=1, code=7)]).failed_indexes == {1}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"succeededIndexes": "0,2"}, True),
        ({"succeededIndexes": "0-1"}, False),
        ({"succeededIndexes": "0-3", "succeededCount": 2}, True),
        ({"succeededCount": 3}, False),
    ],
)
def test_success_policy(rule: Obj, expected: bool) -> None:
    job = work(completionMode="Indexed", completions=4, successPolicy={"rules": [rule]})
    pods = [pod("a", "Succeeded", index=0), pod("b", "Succeeded", index=2), pod("c", index=1)]
    step = step_of(job, pods)
    assert (step.reason == "SuccessPolicy") == expected
    assert not expected or (
        step.message == "Matched rules at index 0" and [name_of(one) for one in step.delete] == ["c"]
    )


def test_replacement_waits_for_the_end_where_asked() -> None:
    leaving = pod("a", deletionTimestamp=format_time(1))
    assert len(step_of(work(), [leaving], NOW).create) == 2
    assert len(step_of(work(podReplacementPolicy="Failed"), [leaving], NOW).create) == 1


def test_each_finished_pod_is_counted_once() -> None:
    """Through every step at which the controller may die and start again."""
    job = work(backoffLimit=6)
    pods = [pod("a", "Succeeded"), pod("b", "Failed"), pod("c")]
    tally = take_in(job, read_tally(job), pods)
    assert (tally.all_succeeded, tally.all_failed) == (1, 1)
    job["status"] = job_status(job, pods, tally, JobPlan(), NOW)
    again = take_in(job, read_tally(job), pods)
    assert (again.all_succeeded, again.all_failed) == (1, 1)
    for one in again.settled:
        one["metadata"]["finalizers"] = []
    folded = fold(again, {uid_of(one) for one in pods if job_pods.tracked(one)})
    job["status"] = job_status(job, pods, folded, JobPlan(), NOW)
    final = take_in(job, read_tally(job), [])
    assert (final.succeeded, final.failed, final.all_succeeded, final.all_failed) == (1, 1, 1, 1)


def test_conditions_of_an_end() -> None:
    job = work()
    step = JobPlan(outcome="SuccessCriteriaMet", reason="CompletionsReached", message="m", ended=True)
    status = job_status(job, [], read_tally(job), step, NOW)
    assert [entry["type"] for entry in status["conditions"]] == ["SuccessCriteriaMet"]
    job["status"] = final_status(job, status, step, read_tally(job), NOW)
    assert condition_true(job, "Complete")
    assert job["status"]["completionTime"] == format_time(NOW)


def test_suspension_stops_the_clock() -> None:
    job = work(suspend=True, status={"startTime": format_time(1)})
    job["status"] = job_status(job, [], read_tally(job), JobPlan(), NOW)
    assert job["status"]["startTime"] is None
    assert condition_true(job, "Suspended")
    job["spec"]["suspend"] = False
    job["status"] = job_status(job, [], read_tally(job), JobPlan(), NOW)
    assert job["status"]["startTime"] == format_time(NOW)
    assert not condition_true(job, "Suspended")


@given(st.sets(st.integers(0, 200)))
def test_indexes_survive_their_text(indexes: set[int]) -> None:
    assert parse_indexes(format_indexes(indexes)) == indexes


def test_index_text() -> None:
    assert format_indexes({0, 2, 3, 5, 6, 7}) == "0,2,3,5-7"
    assert parse_indexes("") == parse_indexes(None) == set()
