"""Cron expressions and what is due."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from hack.devcluster.controllers.cronjob import build_job, latest_due, search_start, surplus_history
from hack.devcluster.controllers.schedule import Schedule, ScheduleError
from hack.devcluster.objects import Obj, format_time


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "now", "following"),
    [
        ("* * * * *", "2026-03-01T10:00:30", "2026-03-01T10:01:00"),
        ("*/15 * * * *", "2026-03-01T10:45:00", "2026-03-01T11:00:00"),
        ("0 3 * * mon-fri", "2026-03-06T04:00:00", "2026-03-09T03:00:00"),
        ("0 0 29 2 *", "2026-03-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 13 * 5", "2026-03-02T00:00:00", "2026-03-06T00:00:00"),
        ("@daily", "2026-12-31T23:59:00", "2027-01-01T00:00:00"),
        ("5,10 1 * jan 0", "2026-01-01T00:00:00", "2026-01-04T01:05:00"),
    ],
)
def test_after(text: str, now: str, following: str) -> None:
    assert Schedule.parse(text).after(at(now), UTC) == at(following)


def test_never() -> None:
    assert Schedule.parse("0 0 31 2 *").after(at("2026-01-01T00:00:00"), UTC) is None


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "60 * * * *", "* * 0 * *", "a * * * *", "5-1 * * * *", "*/0 * * * *", "* * * * 7", "@every x"],
)
def test_malformed(text: str) -> None:
    with pytest.raises(ScheduleError):
        Schedule.parse(text)


def test_only_the_latest_missed_run_counts() -> None:
    hourly = Schedule.parse("@hourly")
    now = at("2026-03-01T10:30:00")
    assert latest_due(hourly, UTC, since=at("2026-03-01T05:10:00"), now=now) == (at("2026-03-01T10:00:00"), 5)
    assert latest_due(hourly, UTC, since=at("2026-03-01T10:00:00"), now=now) == (None, 0)


def test_an_uneven_schedule_is_searched_far_enough() -> None:
    schedule = Schedule.parse("30 6-16/4 * * 1-5")
    since, now = at("2026-03-06T06:00:00"), at("2026-03-09T05:00:00")
    assert latest_due(schedule, UTC, since=since, now=now)[0] == at("2026-03-06T14:30:00")


def test_many_missed_runs_are_counted() -> None:
    schedule = Schedule.parse("* * * * *")
    due, missed = latest_due(schedule, UTC, since=at("2026-03-01T00:00:00"), now=at("2026-03-01T02:00:30"))
    assert (due, missed) == (at("2026-03-01T02:00:00"), 120)


def local(text: str, zone: ZoneInfo, *, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


NEW_YORK = ZoneInfo("America/New_York")


def test_a_time_that_does_not_exist_is_skipped() -> None:
    daily = Schedule.parse("30 2 * * *")
    before = local("2026-03-07T03:00:00", NEW_YORK)
    assert daily.after(before, NEW_YORK) == local("2026-03-09T02:30:00", NEW_YORK)


def test_a_time_that_comes_twice_counts_twice() -> None:
    daily = Schedule.parse("30 1 * * *")
    first = local("2026-11-01T01:30:00", NEW_YORK)
    assert daily.after(first - 1, NEW_YORK) == first
    assert daily.after(first, NEW_YORK) == local("2026-11-01T01:30:00", NEW_YORK, fold=1) == first + 3600


@pytest.mark.parametrize("day", ["2026-03-08T00:00:00", "2026-11-01T00:00:00"])
def test_every_hour_has_its_run_when_the_clock_changes(day: str) -> None:
    hourly = Schedule.parse("0 * * * *")
    moment = local(day, NEW_YORK)
    for _ in range(6):
        following = hourly.after(moment, NEW_YORK)
        assert following == moment + 3600
        moment += 3600


def test_every() -> None:
    assert Schedule.parse("@every 1h30m").after(1000.5, UTC) == 1000 + 5400


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({}, {}, 1000.0),
        ({}, {"lastScheduleTime": format_time(4000)}, 4000.0),
        ({"startingDeadlineSeconds": 200}, {}, 4800.0),
        ({"startingDeadlineSeconds": 20_000}, {}, 1000.0),
    ],
)
def test_where_the_search_starts(spec: Obj, status: Obj, expected: float) -> None:
    cron_job = {"metadata": {"creationTimestamp": format_time(1000)}, "spec": spec, "status": status}
    assert search_start(cron_job, 5000.0) == expected


def done(name: str, kind: str, minute: int) -> Obj:
    started = format_time(minute * 60)
    status = {"conditions": [{"type": kind, "status": "True"}], "startTime": started}
    return {"metadata": {"name": name}, "status": status}


def test_history_limits() -> None:
    jobs = [done(f"ok{index}", "Complete", index) for index in range(5)]
    jobs += [done(f"bad{index}", "Failed", index) for index in range(3)]
    assert [job["metadata"]["name"] for job in surplus_history({"spec": {}}, jobs)] == ["ok0", "ok1", "bad0", "bad1"]
    none = {"spec": {"successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 3}}
    assert len(surplus_history(none, jobs)) == 5


def test_the_job_of_a_time() -> None:
    cron_job = {
        "metadata": {"name": "tick", "namespace": "n", "uid": "u"},
        "spec": {"jobTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": {"backoffLimit": 1}}},
    }
    job = build_job(cron_job, 600.0)
    assert job["metadata"]["name"] == "tick-10"
    assert job["metadata"]["annotations"] == {"batch.kubernetes.io/cronjob-scheduled-timestamp": format_time(600)}
    assert job["spec"] == {"backoffLimit": 1}
