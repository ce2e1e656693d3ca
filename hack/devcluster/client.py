"""A thin Kubernetes REST and watch client on aiohttp.

It owns authentication from a kubeconfig, typed errors and line framing of watches. The full `kubernetes` package
would cost tens of MiB in a process that must stay small. Trap avoided: a watch without a read time-out hangs for ever
on a dead peer.
"""

import base64
import json
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml

from hack.devcluster.objects import Obj, key_of
from hack.devcluster.resources import Resource

log = logging.getLogger(__name__)

MERGE_PATCH = "application/merge-patch+json"
_WATCH_SECONDS = 300


class ApiError(Exception):
    """An answer of the API server other than 2xx; `status` is 0 when it could not be reached."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class NotFound(ApiError):
    """404."""


class Conflict(ApiError):
    """409: the object changed or exists already."""


class Gone(ApiError):
    """410: the resource version is too old, list again."""


_BY_STATUS: Mapping[int, type[ApiError]] = {404: NotFound, 409: Conflict, 410: Gone}


def error_from(status: int, body: bytes) -> ApiError:
    """Build the typed error of a Status body (or of any other text)."""
    reason, message = "", body[:300].decode("utf-8", "replace")
    try:
        parsed = json.loads(body)
        if isinstance(parsed, dict):
            reason, message = str(parsed.get("reason", "")), str(parsed.get("message", message))
    except ValueError:
        pass
    return _BY_STATUS.get(status, ApiError)(status, reason, message)


class ApiClient:
    """One connection pool to one API server."""

    def __init__(self, server: str, *, token: str = "", tls: ssl.SSLContext | None = None, ca: bytes = b"") -> None:
        self.server = server.rstrip("/")
        self.ca = ca
        self._token = token
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_kubeconfig(cls, path: Path) -> Self:
        """Read the current context. Raises KeyError or StopIteration-free ValueError on a malformed file."""
        config = yaml.safe_load(path.read_text())
        context = _named(config, "contexts", config["current-context"])["context"]
        cluster = _named(config, "clusters", context["cluster"])["cluster"]
        user = _named(config, "users", context["user"])["user"]
        server, ca = str(cluster["server"]), _data(cluster, "certificate-authority", path)
        tls: ssl.SSLContext | None = None
        if server.startswith("https"):
            tls = ssl.create_default_context(cadata=ca.decode() if ca else None)
            if cluster.get("insecure-skip-tls-verify"):
                tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        token = user.get("token") or _data(user, "token", path, file_key="tokenFile").decode()
        return cls(server, token=token.strip(), tls=tls, ca=ca)

    async def __aenter__(self) -> Self:
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls if self._tls is not None else True)
        self._session = aiohttp.ClientSession(
            connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(total=30, sock_connect=5)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("ApiClient is used outside of 'async with'")
        return self._session

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Obj:
        """One call; raises ApiError. Bodies are JSON both ways."""
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"Content-Type": content_type} if data is not None else None
        try:
            async with self.session.request(
                method, self.server + path, data=data, params=params, headers=headers
            ) as answer:
                raw = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(0, "Unreachable", f"{method} {path}: {error}") from error
        if answer.status >= 400:
            raise error_from(answer.status, raw)
        parsed: Obj = json.loads(raw) if raw else {}
        return parsed

    async def get(self, resource: Resource, namespace: str, name: str) -> Obj:
        return await self.request("GET", resource.path(namespace, name))

    async def list(self, resource: Resource, namespace: str = "", *, params: Mapping[str, str] | None = None) -> Obj:
        return await self.request("GET", resource.path(namespace), params=params)

    async def create(self, resource: Resource, obj: Obj, *, subresource: str = "") -> Obj:
        namespace, name = key_of(obj)
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        return await self.request("POST", resource.path(namespace, name if subresource else "", subresource), body=body)

    async def update(self, resource: Resource, obj: Obj, *, subresource: str = "") -> Obj:
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        return await self.request("PUT", resource.path(*key_of(obj), subresource), body=body)

    async def patch(self, resource: Resource, key: tuple[str, str], body: Obj, *, subresource: str = "") -> Obj:
        """Merge patch; put metadata.uid in the body to guard against a namesake."""
        return await self.request("PATCH", resource.path(*key, subresource), body=body, content_type=MERGE_PATCH)

    async def delete(
        self, resource: Resource, key: tuple[str, str], *, uid: str = "", grace: int | None = None, policy: str = ""
    ) -> Obj:
        options: Obj = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if policy:
            options["propagationPolicy"] = policy
        return await self.request("DELETE", resource.path(*key), body=options)

    async def watch(self, resource: Resource, *, version: str, selector: str = "") -> AsyncIterator[tuple[str, Obj]]:
        """Yield (type, object) until the server closes the stream. Raises Gone when the version is too old."""
        params = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        if selector:
            params["fieldSelector"] = selector
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=_WATCH_SECONDS + 30)
        try:
            async with self.session.get(
                self.server + resource.path(), params=params, timeout=timeout, read_bufsize=2**20
            ) as answer:
                if answer.status >= 400:
                    raise error_from(answer.status, await answer.read())
                async for event in _events(answer.content):
                    yield event
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(0, "Unreachable", f"watch {resource.plural}: {error}") from error


async def _events(content: aiohttp.StreamReader) -> AsyncIterator[tuple[str, Obj]]:
    """Split a watch body into events; objects may be larger than any line limit, so no readline()."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if not line.strip():
                continue
            event = json.loads(line)
            kind, obj = str(event["type"]), event["object"]
            if kind == "ERROR":
                raise error_from(int(obj.get("code", 500)), json.dumps(obj).encode())
            yield kind, obj


def _named(config: Obj, section: str, name: str) -> Obj:
    for entry in config.get(section) or []:
        if entry.get("name") == name:
            found: Obj = entry
            return found
    raise ValueError(f"kubeconfig: {section} has no entry {name!r}")


def _data(section: Obj, key: str, path: Path, *, file_key: str = "") -> bytes:
    inline = section.get(f"{key}-data")
    if inline:
        return base64.b64decode(inline)
    name = section.get(file_key or key)
    return (path.parent / name).read_bytes() if name else b""
