"""Requests to origins: one pooled HTTP client with time-outs; every failure is `OriginAway`."""

from collections.abc import Mapping

import aiohttp

from workloads.edge.cache import Entry

MAX_BODY_BYTES = 64 * 1024 * 1024
_CONNECTIONS_PER_ORIGIN = 256


class OriginAway(Exception):
    """The origin is unreachable, too slow, or answers with a server error."""


class Upstream:
    """Made inside a running event loop; `close` it."""

    def __init__(self, connect_timeout_seconds: float, timeout_seconds: float) -> None:
        self._connect_timeout_seconds = connect_timeout_seconds
        self._timeout_seconds = timeout_seconds
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=_CONNECTIONS_PER_ORIGIN, keepalive_timeout=30),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def fetch(
        self, url: str, *, headers: Mapping[str, str] | None = None, timeout_seconds: float | None = None
    ) -> Entry:
        """GET; answers below 500 are entries, all else is OriginAway.

        503 is the origin's way to say that a held playlist did not grow, and passes. `timeout_seconds` is for the
        whole request, when it should be another than the usual one.
        """
        timeout = self._timeout(timeout_seconds or self._timeout_seconds)
        try:
            async with self._session.get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
                if response.status >= 500 and response.status != 503:
                    raise OriginAway(f"{url} answered {response.status}")
                if (response.content_length or 0) > MAX_BODY_BYTES:
                    raise OriginAway(f"{url} is {response.content_length} bytes long")
                body = await response.read()
                content_type = response.headers.get("Content-Type", "application/octet-stream")
                return Entry(response.status, body, content_type)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise OriginAway(f"{url}: {error!r}") from error

    def _timeout(self, total_seconds: float) -> aiohttp.ClientTimeout:
        connect = self._connect_timeout_seconds
        return aiohttp.ClientTimeout(total=total_seconds, connect=connect, sock_connect=connect)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
