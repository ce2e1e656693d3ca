"""Cron expressions and what is due."""

from datetime import UTC, datetime

import pytest

from hack.devcluster.controllers.cronjob import latest_due
from hack.devcluster.controllers.schedule import Schedule, ScheduleError


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
        ("5,10 1 * jan 7", "2026-01-01T00:00:00", "2026-01-04T01:05:00"),
    ],
)
def test_after(text: str, now: str, following: str) -> None:
    assert Schedule.parse(text).after(at(now), UTC) == at(following)


def test_never() -> None:
    assert Schedule.parse("0 0 31 2 *").after(at("2026-01-01T00:00:00"), UTC) is None


@pytest.mark.parametrize("text", ["", "* * * *", "60 * * * *", "* * 0 * *", "a * * * *", "5-1 * * * *", "*/0 * * * *"])
def test_malformed(text: str) -> None:
    with pytest.raises(ScheduleError):
        Schedule.parse(text)


def test_only_the_latest_missed_run_counts() -> None:
    hourly = Schedule.parse("@hourly")
    now = at("2026-03-01T10:30:00")
    assert latest_due(hourly, UTC, since=at("2026-03-01T05:10:00"), now=now) == at("2026-03-01T10:00:00")
    assert latest_due(hourly, UTC, since=at("2026-03-01T10:00:00"), now=now) is None
