"""Time on air of a channel in the present UTC day."""

from collections.abc import Iterable

from operators.api import LiveStream
from operators.core.times import epoch

DAY_SECONDS = 86_400.0


def seconds_on_air(streams: Iterable[LiveStream], now: float) -> float:
    """Sum over the streams of the part of their broadcast that lies in today."""
    midnight = now - now % DAY_SECONDS
    total = 0.0
    for stream in streams:
        if stream.status.started_at:
            ended = epoch(stream.status.ended_at) if stream.status.ended_at else now
            total += max(0.0, min(ended, now) - max(epoch(stream.status.started_at), midnight))
    return total
