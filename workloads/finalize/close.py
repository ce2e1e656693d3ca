"""What is left to do when a broadcast is over: tell analytics, and let the room's history go in time.

Running it twice tells once: the marker of the stream's uid is set before the event, and taken back when it fails.
"""

from dataclasses import asdict, dataclass

from redis.asyncio import Redis

from workloads.common import events, rooms

HISTORY_SECONDS = 7 * 86_400
ENDED = "stream.ended"


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A broadcast that has ended; times are RFC 3339, empty when it never was on air."""

    stream: str
    uid: str
    peak_viewers: int
    started_at: str
    ended_at: str
    end_reason: str


async def close(redis: Redis, broadcast: Broadcast) -> bool:
    """Emit `stream.ended` once and give the room's keys a week to live; False when that was done before."""
    marker = f"haat:finalized:{broadcast.uid or broadcast.stream}"
    fresh = bool(await redis.set(marker, "1", nx=True, ex=HISTORY_SECONDS))
    try:
        if fresh:
            data = {key: value for key, value in asdict(broadcast).items() if key not in ("stream", "uid")}
            await events.emit(redis, events.new_event(ENDED, stream=broadcast.stream, user="", data=data))
        meta, log, base = rooms.keys(broadcast.stream)
        for key in (meta, log, f"{base}:state"):
            await redis.expire(key, HISTORY_SECONDS)
    except Exception:
        if fresh:
            await redis.delete(marker)
        raise
    return fresh
