"""Cron in a time zone, with one rule for the days on which clocks change.

The expression is evaluated on the wall clock of the zone. A wall time that does not exist (clocks go forward) is
skipped, and one that comes twice (clocks go back) counts once, the first time: a programme is never shown twice and
never at a time that viewers did not read in the guide.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError


class CronError(ValueError):
    """The expression or the zone cannot be read; the text names which."""


def zone(name: str) -> ZoneInfo:
    """The IANA zone; CronError when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise CronError(f"timezone: {name!r} is no IANA time zone") from error


def check(expression: str) -> None:
    """CronError when the expression cannot be read."""
    try:
        CronSim(expression, datetime(2026, 1, 1))
    except CronSimError as error:
        raise CronError(f"cron: {expression!r}: {error}") from error


def occurrences(expression: str, timezone: str, *, since: float, until: float) -> Iterator[float]:
    """Unix seconds of every occurrence with `since <= t < until`, in order. CronError on bad input."""
    place = zone(timezone)
    check(expression)
    first = datetime.fromtimestamp(since, place).replace(tzinfo=None) - timedelta(hours=2)
    last = datetime.fromtimestamp(until, place).replace(tzinfo=None) + timedelta(hours=2)
    for moment in CronSim(expression, first):
        if moment > last:
            return
        instant = _instant(moment, place)
        if instant is not None and since <= instant < until:
            yield instant


def last_before(expression: str, timezone: str, *, now: float, within: float) -> float | None:
    """The latest occurrence with `now - within <= t <= now`."""
    return max(occurrences(expression, timezone, since=now - within, until=now + 1e-6), default=None)


def _instant(wall: datetime, place: ZoneInfo) -> float | None:
    """Unix seconds of a wall time, its first occurrence; None when the clocks skipped it."""
    aware = wall.replace(tzinfo=place, fold=0)
    back = aware.astimezone(UTC).astimezone(place).replace(tzinfo=None)
    return aware.timestamp() if back == wall else None
