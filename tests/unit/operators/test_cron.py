"""Cron in time zones: the days on which clocks change."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.core.cron import CronError, check, last_before, occurrences, zone


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def seen(expression: str, timezone: str, since: str, until: str) -> list[str]:
    found = occurrences(expression, timezone, since=at(since), until=at(until))
    return [datetime.fromtimestamp(moment, UTC).isoformat(timespec="minutes")[:16] for moment in found]


@pytest.mark.parametrize(
    ("expression", "timezone", "since", "until", "expected"),
    [
        pytest.param("0 9 * * *", "Asia/Dhaka", "2026-03-01", "2026-03-03",
                     ["2026-03-01T03:00", "2026-03-02T03:00"], id="no daylight saving"),
        pytest.param("30 2 * * *", "Europe/Berlin", "2026-03-28", "2026-03-31",
                     ["2026-03-28T01:30", "2026-03-30T00:30"], id="a time that does not exist is skipped"),
        pytest.param("30 2 * * *", "Europe/Berlin", "2026-10-24", "2026-10-27",
                     ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"], id="a time that comes twice counts once"),
        pytest.param("30 1 * * *", "America/New_York", "2026-10-31", "2026-11-03",
                     ["2026-10-31T05:30", "2026-11-01T05:30", "2026-11-02T06:30"], id="the first of the two"),
        pytest.param("0 * * * *", "Europe/Berlin", "2026-03-29T00:00", "2026-03-29T03:00",
                     ["2026-03-29T00:00", "2026-03-29T01:00", "2026-03-29T02:00"], id="hourly over the missing hour"),
        pytest.param("0 * * * *", "Europe/Berlin", "2026-10-24T23:00", "2026-10-25T03:00",
                     ["2026-10-24T23:00", "2026-10-25T00:00", "2026-10-25T02:00"],
                     id="hourly over the repeated hour: once"),
        pytest.param("0 12 29 2 *", "UTC", "2026-01-01", "2029-01-01", ["2028-02-29T12:00"], id="leap day"),
    ],
)  # fmt: skip
def test_occurrences(expression: str, timezone: str, since: str, until: str, expected: list[str]) -> None:
    assert seen(expression, timezone, since, until) == expected


@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Dhaka", "Australia/Lord_Howe", "UTC"]),
    st.sampled_from(["*/15 * * * *", "30 2 * * *", "0 0 * * 0", "5 4 1 * *"]),
    st.integers(1_700_000_000, 1_900_000_000),
    st.integers(0, 40 * 86_400),
)
def test_occurrences_are_sorted_unique_and_inside(timezone: str, expression: str, since: int, length: int) -> None:
    found = list(occurrences(expression, timezone, since=since, until=since + length))
    assert found == sorted(set(found))
    assert all(since <= moment < since + length for moment in found)


@given(st.integers(1_700_000_000, 1_900_000_000), st.integers(0, 86_400), st.integers(0, 86_400))
def test_a_range_is_the_sum_of_its_parts(since: int, first: int, second: int) -> None:
    parts = [
        *occurrences("*/20 * * * *", "Europe/Berlin", since=since, until=since + first),
        *occurrences("*/20 * * * *", "Europe/Berlin", since=since + first, until=since + first + second),
    ]
    assert parts == list(occurrences("*/20 * * * *", "Europe/Berlin", since=since, until=since + first + second))


def test_last_before() -> None:
    now = at("2026-03-02T04:00")
    assert last_before("0 9 * * *", "Asia/Dhaka", now=now, within=7200) == at("2026-03-02T03:00")
    assert last_before("0 9 * * *", "Asia/Dhaka", now=now, within=60) is None


@pytest.mark.parametrize("text", ["", "* * * *", "61 * * * *", "a b c d e", "0 0 32 1 *"])
def test_a_wrong_expression_names_itself(text: str) -> None:
    with pytest.raises(CronError, match="cron"):
        check(text)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "/etc"])
def test_a_wrong_zone_names_itself(name: str) -> None:
    with pytest.raises(CronError, match="timezone"):
        zone(name)
