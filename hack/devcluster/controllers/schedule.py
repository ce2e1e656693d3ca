"""Cron expressions: five fields, the usual shorthands, names of months and days.

Pure; times in UTC unless a zone is given.

Traps avoided: when both day of month and day of week are restricted, either may match (Vixie cron, as Kubernetes has
it). Where a clock is put forward, the times that do not exist are skipped; where it is put back, those that come twice
count twice. Source: the cron library that Kubernetes uses, robfig/cron v3.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

_NAMES = {name: number for number, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_HORIZON_DAYS = 366 * 8
_EVERY = re.compile(r"^@every ((?:\d+(?:\.\d+)?(?:h|m|s))+)$")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


_ANY = ("*", "?", "*/1", "?/1")


class ScheduleError(ValueError):
    """Not a cron expression; the message names the field."""


@dataclass(frozen=True, slots=True)
class Schedule:
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool
    every: float = 0.0
    """Seconds of `@every`, which knows no fields; 0 for none."""

    @classmethod
    def parse(cls, text: str) -> "Schedule":
        """Raises ScheduleError."""
        if text.startswith("@every"):
            none: frozenset[int] = frozenset()
            return cls(none, none, none, none, none, True, True, every=_duration(text))
        fields = _SHORT.get(text.strip(), text).lower().split()
        if len(fields) != 5:
            raise ScheduleError(f"{text!r} must have five fields")
        weekdays = _field(fields[4], 0, 6, "day of week", _NAMES)
        return cls(
            _field(fields[0], 0, 59, "minute", {}),
            _field(fields[1], 0, 23, "hour", {}),
            _field(fields[2], 1, 31, "day of month", {}),
            _field(fields[3], 1, 12, "month", _MONTHS),
            weekdays,
            fields[2] in _ANY,
            fields[4] in _ANY,
        )

    def _on_day(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return of_month and of_week
        return of_month or of_week

    def after(self, moment: float, zone: tzinfo) -> float | None:
        """The first time later than `moment` (epoch seconds), None when there is none within eight years."""
        if self.every:
            return float(int(moment)) + self.every
        day = datetime.fromtimestamp(moment, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        for _ in range(_HORIZON_DAYS):
            if self._on_day(day):
                for hour in sorted(self.hours):
                    for candidate in self._in_hour(day.replace(hour=hour), moment, zone):
                        return candidate
            day = (day + timedelta(days=1)).replace(hour=0)
        return None

    def _in_hour(self, hour: datetime, moment: float, zone: tzinfo) -> Iterator[float]:
        """Times later than `moment` in one hour of the wall clock, which may come twice or not at all."""
        if hour.replace(minute=59, fold=1).timestamp() <= moment and hour.replace(minute=59).timestamp() <= moment:
            return
        found: set[float] = set()
        for minute in self.minutes:
            for fold in (0, 1):
                wall = hour.replace(minute=minute, fold=fold)
                stamp = wall.timestamp()
                real = datetime.fromtimestamp(stamp, zone)
                if stamp > moment and (real.hour, real.minute) == (wall.hour, wall.minute):
                    found.add(stamp)
        yield from sorted(found)


def _duration(text: str) -> float:
    """Seconds of `@every 1h30m`, at least one. Raises ScheduleError."""
    match = _EVERY.match(text.strip())
    if match is None:
        raise ScheduleError(f"{text!r}: @every needs a duration such as 1h30m")
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|m|s)", match.group(1))
    return max(1.0, float(int(sum(float(amount) * _UNITS[unit] for amount, unit in parts))))


def _field(text: str, least: int, most: int, label: str, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    try:
        for part in text.split(","):
            span, _, step = part.partition("/")
            if span in ("*", "?"):
                first, last = least, most
            else:
                low, dash, high = span.partition("-")
                first = names[low] if low in names else int(low)
                last = (names[high] if high in names else int(high)) if dash else (most if step else first)
            if not least <= first <= last <= most or (step and int(step) < 1):
                raise ScheduleError(f"{label}: {part!r} is out of range {least}-{most}")
            found.update(range(first, last + 1, int(step) if step else 1))
    except ValueError as error:
        raise ScheduleError(f"{label}: {text!r}: {error}") from error
    return frozenset(found)
