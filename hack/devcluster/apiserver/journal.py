"""The journal: every write goes to SQLite (WAL) in batches, by a thread of its own, off the request path.

A crash loses at most the last `INTERVAL` seconds; a clean stop loses nothing. After a crash the version counter jumps
by `SLACK`, so that no client ever sees a resource version used twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

INTERVAL = 0.04
SLACK = 100_000
log = logging.getLogger(__name__)

_SCHEMA = """
create table if not exists objects (
  collection text not null, namespace text not null, name text not null, raw blob not null,
  primary key (collection, namespace, name)) without rowid;
create table if not exists meta (key text primary key, value integer not null) without rowid;
"""

Entry = tuple[str, str, str, int, bytes | None]


class Journal:
    """Owner of `state.db`."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=normal")
        self._db.executescript(_SCHEMA)
        self._pending: list[Entry] = []
        self._wake = asyncio.Event()
        self._lock = threading.Lock()  # a batch may still be on its way when `close` begins

    def version(self) -> int:
        """The counter to start from: the last one written, plus slack when the last stop was not clean."""
        rows = dict(self._db.execute("select key, value from meta").fetchall())
        version = int(rows.get("version", 0))
        return version if rows.get("clean", 1) else version + SLACK

    def rows(self) -> Iterator[tuple[str, bytes]]:
        """(collection, raw) of every object."""
        yield from self._db.execute("select collection, raw from objects")

    def opened(self) -> None:
        """Mark the state as in use; undone by `close`."""
        self._db.execute("insert or replace into meta values ('clean', 0)")

    def write(self, collection: str, namespace: str, name: str, version: int, raw: bytes | None) -> None:
        """Queue one write; None deletes."""
        self._pending.append((collection, namespace, name, version, raw))
        self._wake.set()

    async def run(self) -> None:
        """Write batches until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(INTERVAL)
            self._wake.clear()
            batch, self._pending = self._pending, []
            try:
                await asyncio.to_thread(self._commit, batch)
            except sqlite3.Error:
                log.exception("journal write failed, will be tried again")
                self._pending = batch + self._pending
                self._wake.set()
                await asyncio.sleep(1)

    def close(self) -> None:
        """Write the rest and mark the stop as clean."""
        with contextlib.closing(self._db):
            self._commit(self._pending)
            self._pending = []
            self._db.execute("insert or replace into meta values ('clean', 1)")

    def _commit(self, batch: list[Entry]) -> None:
        if not batch:
            return
        with self._lock:
            self._commit_locked(batch)

    def _commit_locked(self, batch: list[Entry]) -> None:
        last = {entry[:3]: entry for entry in batch}
        kept = [(c, ns, name, raw) for c, ns, name, _, raw in last.values() if raw is not None]
        gone = [(c, ns, name) for c, ns, name, _, raw in last.values() if raw is None]
        self._db.execute("begin immediate")
        try:
            self._db.executemany("insert or replace into objects values (?, ?, ?, ?)", kept)
            self._db.executemany("delete from objects where collection=? and namespace=? and name=?", gone)
            self._db.execute("insert or replace into meta values ('version', ?)", (max(entry[3] for entry in batch),))
            self._db.execute("commit")
        except sqlite3.Error:
            self._db.execute("rollback")
            raise
