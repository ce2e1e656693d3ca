"""Sets of completion indexes as the API writes them ("0,2-4"). Pure."""

from collections.abc import Iterable


def parse_indexes(text: str | None) -> set[int]:
    """Malformed parts are left out: the field is the controller's own, or validated on admission."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, dash, last = part.strip().partition("-")
        if first.isdigit() and (not dash or last.isdigit()):
            found.update(range(int(first), int(last if dash else first) + 1))
    return found


def format_indexes(indexes: Iterable[int]) -> str:
    """Neighbours are joined: two with a comma, more with a dash."""
    parts: list[str] = []
    ordered = sorted(set(indexes))
    position = 0
    while position < len(ordered):
        end = position
        while end + 1 < len(ordered) and ordered[end + 1] == ordered[end] + 1:
            end += 1
        first, last = ordered[position], ordered[end]
        parts.append(str(first) if first == last else f"{first},{last}" if last == first + 1 else f"{first}-{last}")
        position = end + 1
    return ",".join(parts)
