"""The object store behind one narrow door: a folder, or S3; every failure is typed and every call has a time-out.

Trap avoided: a folder knows neither content types nor conditional writes, so nothing here needs them: names are
deterministic and types follow from names.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from workloads.recorder import layout

_DELETE_BATCH = 500
_LIST_SECONDS = 60.0


class StorageAway(Exception):
    """The store does not answer, refuses, or is full; trying again later may help."""


class ObjectMissing(Exception):
    """There is no object of this name."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as a listing shows it; `version` changes when its bytes do."""

    path: str
    size: int
    version: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of an object from `start` on; `total` is the object's size."""

    data: bytes
    start: int
    total: int


class Storage:
    """Objects below a URL `file:///folder` or `s3://bucket/prefix`."""

    def __init__(self, url: str, *, timeout_seconds: float = 15.0) -> None:
        self.folder: Path | None = None
        self._timeout_seconds = timeout_seconds
        self._store: LocalStore | S3Store
        scheme, _, rest = url.partition("://")
        if scheme == "file":
            self.folder = Path(rest)
            self._store = LocalStore(rest, automatic_cleanup=True, mkdir=True)
        else:
            self._store = _s3(rest, timeout_seconds)

    async def put(self, path: str, data: bytes | Path) -> None:
        """Write an object whole, over an older one; StorageAway."""
        attributes = None
        if self.folder is None:
            cache = "public, max-age=31536000, immutable" if layout.is_immutable(path) else "no-cache"
            attributes = {"Content-Type": layout.content_type(path), "Cache-Control": cache}
        # A large file is sent in parts, whose number says how long that may take.
        size = await asyncio.to_thread(os.path.getsize, data) if isinstance(data, Path) else len(data)
        seconds = self._timeout_seconds + size / 1_000_000
        async with self._guard(path, seconds, known=True):
            await obstore.put_async(self._store, path, data, attributes=attributes)

    async def get(self, path: str) -> bytes:
        """The whole object; ObjectMissing or StorageAway."""
        async with self._guard(path):
            result = await obstore.get_async(self._store, path)
            return bytes(await result.bytes_async())
        raise AssertionError

    async def get_piece(self, path: str, start: int | None, end: int | None) -> Piece:
        """Bytes `start` up to and without `end`; without `start` the last `end` ones. ObjectMissing, StorageAway;
        ValueError when nothing of it exists."""
        async with self._guard(path):
            meta = await obstore.head_async(self._store, path)
            total = int(meta["size"])
            first = max(0, total - (end or 0)) if start is None else start
            last = total if start is None or end is None else min(end, total)
            if first >= last:
                raise ValueError(f"no such range of {total} bytes")
            data = await obstore.get_range_async(self._store, path, start=first, end=last)
            return Piece(bytes(data), first, total)
        raise AssertionError

    async def objects(self, prefix: str) -> list[Stored]:
        """All objects below a folder."""
        found: list[Stored] = []
        async with self._guard(prefix, _LIST_SECONDS, known=True):
            async for page in obstore.list(self._store, prefix):
                for meta in page:
                    stamp = meta["last_modified"].timestamp()
                    found.append(Stored(str(meta["path"]), int(meta["size"]), f"{meta['e_tag']} {stamp}"))
        return found

    async def folders(self, prefix: str = "") -> list[str]:
        """Names of the folders right below a folder, in order."""
        async with self._guard(prefix, _LIST_SECONDS, known=True):
            result = await obstore.list_with_delimiter_async(self._store, prefix or None)
            return sorted(str(path).rstrip("/").rpartition("/")[2] for path in result["common_prefixes"])
        raise AssertionError

    async def delete(self, paths: Sequence[str]) -> None:
        """Remove objects; those that are gone already are no error."""
        for at in range(0, len(paths), _DELETE_BATCH):
            batch = list(paths[at : at + _DELETE_BATCH])
            try:
                async with self._guard(batch[0], _LIST_SECONDS):
                    await obstore.delete_async(self._store, batch)
            except ObjectMissing:
                for path in batch:
                    with contextlib.suppress(ObjectMissing):
                        async with self._guard(path):
                            await obstore.delete_async(self._store, [path])

    @contextlib.asynccontextmanager
    async def _guard(self, path: str, seconds: float | None = None, *, known: bool = False) -> AsyncIterator[None]:
        """What goes wrong inside, typed. `known` is for calls that need no object: what is missing is the bucket."""
        try:
            async with asyncio.timeout(seconds or self._timeout_seconds):
                yield
        except FileNotFoundError as error:
            if known:
                raise StorageAway(f"{path}: {_first_line(error)}") from error
            raise ObjectMissing(path) from error
        except TimeoutError as error:
            raise StorageAway(f"{path}: no answer in time") from error
        except (BaseError, OSError, NotImplementedError) as error:
            raise StorageAway(f"{path}: {_first_line(error)}") from error


def _s3(rest: str, timeout_seconds: float) -> S3Store:
    """Endpoint, region and credentials come from AWS_* variables, as for every S3 client."""
    bucket, _, prefix = rest.partition("/")
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "") or os.environ.get("AWS_ENDPOINT", "")
    return S3Store(
        bucket,
        prefix=prefix or None,
        client_options={
            "timeout": timedelta(seconds=timeout_seconds),
            "connect_timeout": timedelta(seconds=min(3.0, timeout_seconds)),
            "allow_http": endpoint.startswith("http://"),
        },
        # Callers try again themselves: they know what may wait and what may be given up.
        retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=timeout_seconds)},
    )


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:300]
