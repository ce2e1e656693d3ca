"""Times as Kubernetes writes them: RFC 3339 in UTC, whole seconds."""

from datetime import UTC, datetime


def rfc3339(epoch_seconds: float) -> str:
    """`2026-01-31T12:00:00Z` for a Unix time."""
    return datetime.fromtimestamp(int(epoch_seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(text: str) -> float:
    """Unix time of an RFC 3339 text; ValueError when it is none."""
    return datetime.fromisoformat(text).timestamp()


def epoch_or_none(text: str | None) -> float | None:
    """`epoch` of an optional text."""
    return None if not text else epoch(text)
