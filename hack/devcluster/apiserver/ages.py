"""Times in the short words of kubectl's Age column."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def age(stamp: str | None, now: datetime) -> str:
    """Time since a stamp as kubectl writes it; `<invalid>` for the future, `<unknown>` for none."""
    moment = parse_time(stamp)
    return "<unknown>" if moment is None else duration((now - moment).total_seconds())


def parse_time(stamp: Any) -> datetime | None:
    """The moment of an RFC 3339 text, or None."""
    if not isinstance(stamp, str) or not stamp:
        return None
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def duration(seconds: float) -> str:
    """kubectl's short form: 45s, 3m10s, 5h2m, 2d4h, 400d."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return (
        f"{days}d"
        if days < 730
        else f"{days // 365}y{days % 365}d"
        if days < 2920 and days % 365
        else f"{days // 365}y"
    )
