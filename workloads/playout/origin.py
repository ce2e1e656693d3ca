"""Where a source is: films at their URI, streams and other channels through the platform's directories in Redis.

`haat:streams` tells whether a stream is live, `haat:channels` which stream a channel shows now.
"""

import json
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.playout.command import SourceError
from workloads.playout.schedule import Programme

STREAMS_KEY, CHANNELS_KEY = "haat:streams", "haat:channels"


class Origins:
    """Finds the URI of a programme."""

    def __init__(self, redis: Redis, *, public_url: str, channel: str) -> None:
        self._redis = redis
        self._public_url = public_url.rstrip("/")
        self._channel = channel

    async def uri(self, programme: Programme) -> str:
        """The URI that ffmpeg opens; SourceError while there is none."""
        if programme.kind in ("vod", "slate"):
            return programme.source
        try:
            stream = programme.source if programme.kind == "stream" else await self._shown_by(programme.source)
            answer: Any = await self._redis.hget(STREAMS_KEY, stream)
        except (RedisError, OSError) as error:
            raise SourceError(f"the directory does not answer: {error}") from error
        entry = _object(answer)
        if entry.get("phase") != "Live":
            raise SourceError(f"stream {stream} is not live")
        return f"{self._public_url}{entry.get('hls') or f'/hls/{stream}/master.m3u8'}"

    async def _shown_by(self, channel: str) -> str:
        """The stream that another channel shows."""
        if channel == self._channel:
            raise SourceError("a channel cannot relay itself")
        answer: Any = await self._redis.hvals(CHANNELS_KEY)
        for text in answer:
            entry = _object(text)
            if entry.get("channel") == channel:
                if not entry.get("stream"):
                    raise SourceError(f"channel {channel} shows nothing now")
                return str(entry["stream"])
        raise SourceError(f"channel {channel} is not known")


def _object(text: str | None) -> dict[str, Any]:
    try:
        body = json.loads(text or "{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
