"""Cron expressions: five fields, the usual shorthands, names of months and days.

Pure; times in UTC unless a zone is given.

Trap avoided: when both day of month and day of week are restricted, either may match (Vixie cron, as Kubernetes has
it).
"""

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

    @classmethod
    def parse(cls, text: str) -> "Schedule":
        """Raises ScheduleError."""
        fields = _SHORT.get(text.strip(), text).lower().split()
        if len(fields) != 5:
            raise ScheduleError(f"{text!r} must have five fields")
        weekdays = _field(fields[4], 0, 7, "day of week", _NAMES)
        return cls(
            _field(fields[0], 0, 59, "minute", {}),
            _field(fields[1], 0, 23, "hour", {}),
            _field(fields[2], 1, 31, "day of month", {}),
            _field(fields[3], 1, 12, "month", _MONTHS),
            frozenset(day % 7 for day in weekdays),
            fields[2] in ("*", "?"),
            fields[4] in ("*", "?"),
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
        day = datetime.fromtimestamp(moment, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        for _ in range(_HORIZON_DAYS):
            if self._on_day(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        candidate = day.replace(hour=hour, minute=minute).timestamp()
                        if candidate > moment:
                            return candidate
            day = (day + timedelta(days=1)).replace(hour=0)
        return None


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
