"""The web application's files: hashed assets for ever, the entry page never, unknown pages to the entry page.

Files are read again when they change on disk, so a rebuilt application shows without a restart.
"""

import asyncio
import gzip
import mimetypes
import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workloads.common.problem import Problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

INDEX = "index.html"
MAX_FILE_BYTES = 32 * 1024 * 1024
_MAX_FILES = 512
_MIN_GZIP_BYTES = 600
_COMPRESSIBLE = ("text/", "application/json", "application/javascript", "application/manifest+json", "image/svg+xml")
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".webmanifest": "application/manifest+json"}


@dataclass(frozen=True, slots=True)
class File:
    """A file's content at one state of the disk."""

    stamp: tuple[int, int]
    content_type: str
    body: bytes
    compressed: bytes | None

    @property
    def etag(self) -> str:
        """Validator for conditional requests."""
        return f'"{self.stamp[0]:x}-{self.stamp[1]:x}"'


def wants_page(accept: str) -> bool:
    """Whether a client takes a page; one that says nothing takes anything (RFC 9110, 12.5.1)."""
    return not accept or "text/html" in accept or "*/*" in accept


def content_security_policy(extra_sources: str = "") -> str:
    """The policy of every page: scripts only from here; `extra_sources` may be connected to and played from."""
    extra = f" {extra_sources.strip()}" if extra_sources.strip() else ""
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self'",
            "worker-src 'self' blob:",
            "style-src 'self'",
            "img-src 'self' data: blob: https:",
            f"media-src 'self' blob:{extra}",
            f"connect-src 'self'{extra}",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


class Web:
    """ASGI application for everything that is not media."""

    def __init__(self, root: Path, connect_src: str = "") -> None:
        self._root = root.resolve()
        self._files: OrderedDict[str, File] = OrderedDict()
        self._security = [
            (b"content-security-policy", content_security_policy(connect_src).encode("latin-1")),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"strict-origin-when-cross-origin"),
            (b"permissions-policy", b"camera=(self), microphone=(self), geolocation=()"),
            (b"cross-origin-opener-policy", b"same-origin"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD."""
        await self.page(scope, receive, send)

    async def page(self, scope: Scope, receive: Receive, send: Send, *, status: int = 200) -> None:
        """The same with a status of the caller's, for a page whose path means something to others."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        try:
            if scope["method"] not in ("GET", "HEAD"):
                raise Problem(405, "method_not_allowed", "Use GET or HEAD.")
            name, file = await self._resolve(scope["path"], headers.get(b"accept", ""))
        except Problem as problem:
            response = problem.response()
            if problem.status == 405:
                response.headers["allow"] = "GET, HEAD"
            await response(scope, receive, send)
            return
        await self._answer(name, file, headers, scope["method"], send, status)

    async def _resolve(self, path: str, accept: str) -> tuple[str, File]:
        name = path.lstrip("/") or INDEX
        file = await self._file(name)
        if file is None and "." not in name.rpartition("/")[2] and wants_page(accept):
            # A page of the single-page application: its router reads the path.
            name = INDEX
            file = await self._file(INDEX)
        if file is None and name == INDEX:
            raise Problem(503, "web_not_built", f"There is no web application in {self._root}.")
        if file is None:
            raise Problem(404, "not_found", "There is no such file.")
        return name, file

    async def _answer(
        self, name: str, file: File, headers: dict[bytes, str], method: str, send: Send, status: int
    ) -> None:
        found = status == 200
        out = [
            *self._security,
            (b"content-type", file.content_type.encode()),
            (b"cache-control", cache_control(name).encode() if found else b"no-store"),
            (b"vary", b"accept-encoding"),
        ]
        if found:
            out.append((b"etag", file.etag.encode()))
        if found and file.etag in headers.get(b"if-none-match", ""):
            await send({"type": "http.response.start", "status": 304, "headers": out})
            await send({"type": "http.response.body", "body": b""})
            return
        body = file.body
        if file.compressed is not None and "gzip" in headers.get(b"accept-encoding", ""):
            body = file.compressed
            out.append((b"content-encoding", b"gzip"))
        out.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": out})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

    async def _file(self, name: str) -> File | None:
        path = inside(self._root, name)
        if path is None:
            return None
        stamp = _stamp(path)
        known = self._files.get(name)
        if stamp is None or (known and known.stamp == stamp):
            return known if stamp else None
        file = await asyncio.to_thread(read_file, path, stamp)
        self._files[name] = file
        self._files.move_to_end(name)
        if len(self._files) > _MAX_FILES:
            self._files.popitem(last=False)
        return file


def inside(root: Path, name: str) -> Path | None:
    """The file `name` below `root`, or None when it would leave it (by dots, or by a link)."""
    if "\x00" in name or "\\" in name:
        return None
    path = Path(os.path.realpath(root / name))
    return path if path.is_relative_to(root) else None


def cache_control(name: str) -> str:
    """Assets carry a hash of their content in their name; everything else is asked for again."""
    return "public, max-age=31536000, immutable" if name.startswith("assets/") else "no-cache"


def read_file(path: Path, stamp: tuple[int, int]) -> File:
    """The file with its type and, where that helps, its gzip form."""
    body = path.read_bytes()
    guessed = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    compressible = guessed.startswith(_COMPRESSIBLE) and len(body) >= _MIN_GZIP_BYTES
    content_type = f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed
    return File(stamp, content_type, body, gzip.compress(body, 9, mtime=0) if compressible else None)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    usable = path.is_file() and status.st_size <= MAX_FILE_BYTES
    return (status.st_mtime_ns, status.st_size) if usable else None
