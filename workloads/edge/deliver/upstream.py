"""Requests to origins: one pooled HTTP client with time-outs; every failure is `OriginAway`."""

import asyncio
import logging
from collections.abc import Callable, Mapping

import aiohttp

from workloads.edge.deliver.cache import Entry, Growth

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024 * 1024
_CONNECTIONS_PER_ORIGIN = 256

Grown = Callable[[Entry, bytes | None], None]


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
        self._growing: set[asyncio.Task[None]] = set()

    async def fetch(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
        on_grown: Grown | None = None,
    ) -> Entry:
        """GET; answers below 500 are entries, all else is OriginAway.

        503 is the origin's way to say that a held playlist did not grow, and passes. `timeout_seconds` is for the
        whole request, when it should be another than the usual one. With `on_grown`, a body without a length comes as
        an entry that grows, and `on_grown` is told of its end.
        """
        if on_grown is not None:
            return await self._fetch_growing(url, on_grown)
        timeout = self._timeout(timeout_seconds or self._timeout_seconds)
        try:
            async with self._session.get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
                return await _whole(url, response)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise OriginAway(f"{url}: {error!r}") from error

    async def _fetch_growing(self, url: str, on_grown: Grown) -> Entry:
        timeout = self._timeout(self._timeout_seconds)
        try:
            response = await self._session.get(url, timeout=timeout, allow_redirects=False)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise OriginAway(f"{url}: {error!r}") from error
        if response.status != 200 or response.content_length is not None:
            async with response:
                return await _whole(url, response)
        content_type = response.headers.get("Content-Type", "application/octet-stream")
        entry = Entry(200, b"", content_type, Growth())
        task = asyncio.create_task(_grow(response, entry, on_grown))
        self._growing.add(task)
        task.add_done_callback(self._growing.discard)
        return entry

    async def open(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", first_byte_seconds: float = 30.0
    ) -> aiohttp.ClientResponse:
        """The response with its body still to be read: the caller closes it. OriginAway when there is none in time."""
        connect = self._connect_timeout_seconds
        timeout = aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect, sock_read=first_byte_seconds)
        try:
            return await self._session.request(
                method, url, headers=headers, data=body or None, timeout=timeout, allow_redirects=False
            )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise OriginAway(f"{url}: {error!r}") from error

    def _timeout(self, total_seconds: float) -> aiohttp.ClientTimeout:
        connect = self._connect_timeout_seconds
        return aiohttp.ClientTimeout(total=total_seconds, connect=connect, sock_connect=connect)

    async def close(self) -> None:
        """Close all connections."""
        for task in list(self._growing):
            task.cancel()
        await asyncio.gather(*self._growing, return_exceptions=True)
        await self._session.close()


async def _whole(url: str, response: aiohttp.ClientResponse) -> Entry:
    if response.status >= 500 and response.status != 503:
        raise OriginAway(f"{url} answered {response.status}")
    if (response.content_length or 0) > MAX_BODY_BYTES:
        raise OriginAway(f"{url} is {response.content_length} bytes long")
    try:
        body = await response.read()
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise OriginAway(f"{url}: {error!r}") from error
    return Entry(response.status, body, response.headers.get("Content-Type", "application/octet-stream"))


async def _grow(response: aiohttp.ClientResponse, entry: Entry, on_grown: Grown) -> None:
    """Read on; whoever waits hears of each piece, and of the end however it comes."""
    growth, size, whole = entry.growth, 0, False
    if growth is None:
        return
    try:
        async with response:
            async for piece in response.content.iter_any():
                size += len(piece)
                if size > MAX_BODY_BYTES:
                    return
                growth.add(piece)
        whole = True
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        logger.warning("a growing segment was cut: %r", error)
    finally:
        on_grown(entry, b"".join(growth.pieces) if whole else None)
        growth.end(cut=not whole)
