"""Requests to a stream's transcoder: playlists, init segments, segments; every failure is `OriginAway`."""

import aiohttp

from workloads.recorder import hls
from workloads.recorder.metrics import Metrics

_MAX_BYTES = 64 * 1024 * 1024
_CONNECT_SECONDS = 1.0
_TIMEOUT_SECONDS = 12.0


class OriginAway(Exception):
    """The transcoder does not answer, or not with what was asked for."""


class Gone(OriginAway):
    """The transcoder does not have it (any more)."""


class Origin:
    """Made inside a running event loop; `close` it."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=16, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def master(self, base: str, stream: str) -> list[hls.Variant]:
        """The stream's renditions."""
        try:
            return hls.parse_master((await self._get(f"{base}/hls/{stream}/master.m3u8")).decode("utf-8", "replace"))
        except hls.PlaylistError as error:
            raise OriginAway(f"the master playlist of {stream}: {error}") from error

    async def media(self, base: str, stream: str, rung: str) -> list[hls.Listed]:
        """The finished segments of a rendition."""
        try:
            text = await self._get(f"{base}/hls/{stream}/{rung}/media.m3u8")
            return hls.parse_media(text.decode("utf-8", "replace"))
        except hls.PlaylistError as error:
            raise OriginAway(f"playlist {rung} of {stream}: {error}") from error

    async def init(self, base: str, stream: str, rung: str, version: str) -> bytes:
        """An init segment."""
        return await self._get(f"{base}/hls/{stream}/{rung}/init.mp4?v={version}")

    async def segment(self, base: str, stream: str, rung: str, msn: int) -> bytes:
        """A segment."""
        return await self._get(f"{base}/hls/{stream}/{rung}/{msn}.m4s")

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _get(self, url: str) -> bytes:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS, connect=_CONNECT_SECONDS)
        try:
            async with self._session.get(url, timeout=timeout, allow_redirects=False) as response:
                if response.status in (404, 410):
                    raise Gone(url)
                if response.status != 200:
                    raise OriginAway(f"{url} answered {response.status}")
                if (response.content_length or 0) > _MAX_BYTES:
                    raise OriginAway(f"{url} is {response.content_length} bytes long")
                return await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self._metrics.origin_failures.inc()
            raise OriginAway(f"{url}: {error!r}") from error
