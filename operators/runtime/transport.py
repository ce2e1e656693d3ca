"""HTTP to the API server: host, TLS, token and their refresh are `kubernetes.aio`'s, the rest is kept short.

The library's own request path copies each body, and looks for a proxy and a netrc file in a thread, at every call; here
the proxy is looked for once, and JSON is msgspec's. Few connections, taken in turn: a burst is worked off in the order
in which it came, and the API server is not made to shake hands a hundred times.
"""

import urllib.request
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import aiohttp
import msgspec
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from yarl import URL

CONNECTIONS = 32
READ_BUFFER_BYTES = 2**21
"""One line of a watch is one object, of up to 1.5 MB."""


class Transport(Protocol):
    """How requests reach the API server."""

    async def request(self, method: str, target: str, *, headers: dict[str, str], body: Any) -> tuple[int, bytes]:
        """Status and content of the answer. OSError, TimeoutError or aiohttp.ClientError when there is none."""
        ...

    async def stream(
        self, target: str, *, headers: dict[str, str], idle_seconds: float
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """An answer that is read line by line, over a connection of its own; TimeoutError after a silence."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class HttpTransport:
    """Over aiohttp; `seconds` is the time-out of a whole request."""

    def __init__(self, configuration: Configuration, *, seconds: float) -> None:
        self._configuration = configuration
        self._tls = RESTClientObject(configuration).ssl_context
        self._proxy = configuration.proxy or _proxy_of(configuration.host)
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self._session: aiohttp.ClientSession | None = None
        self._watches: aiohttp.ClientSession | None = None

    async def request(self, method: str, target: str, *, headers: dict[str, str], body: Any) -> tuple[int, bytes]:
        """See `Transport`."""
        if self._session is None:
            self._session = self._open(CONNECTIONS)
        content = None if body is None else msgspec.json.encode(body)
        options = self._options(await self._with_token(headers))
        async with self._session.request(
            method, self._url(target), data=content, timeout=self._timeout, **options
        ) as answer:
            return answer.status, await answer.read()

    async def stream(
        self, target: str, *, headers: dict[str, str], idle_seconds: float
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """See `Transport`."""
        if self._watches is None:
            self._watches = self._open(0)
        options = self._options(await self._with_token(headers))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout.total, sock_read=idle_seconds)
        return self._watches.get(self._url(target), timeout=timeout, **options)

    async def close(self) -> None:
        """See `Transport`."""
        for session in (self._session, self._watches):
            if session is not None:
                await session.close()

    def _open(self, connections: int) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=connections, ssl=self._tls)
        return aiohttp.ClientSession(connector=connector, read_bufsize=READ_BUFFER_BYTES)

    def _url(self, target: str) -> URL:
        return URL(self._configuration.host + target, encoded=True)

    async def _with_token(self, headers: dict[str, str]) -> dict[str, str]:
        token = await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return headers | {"Authorization": token} if token else headers

    def _options(self, headers: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = {"headers": headers}
        if self._configuration.tls_server_name:
            found["server_hostname"] = self._configuration.tls_server_name
        if self._proxy:
            found |= {"proxy": self._proxy, "proxy_headers": self._configuration.proxy_headers}
        return found


def _proxy_of(host: str) -> str | None:
    """The proxy that the environment names for the API server."""
    url = URL(host)
    if url.host is None or urllib.request.proxy_bypass(url.host):
        return None
    return urllib.request.getproxies().get(url.scheme)
