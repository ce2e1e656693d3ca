"""Container logs: raw output in a file, times in an index beside it.

The container writes straight into its file, so a chatty one costs the agent nothing and loses nothing when the agent
is busy. A ticker notes (time, size) whenever a file has grown; a line's time is that of the first note past its
start. Trap avoided: a log that fills the disk; old blocks are punched out of the file, so that offsets stay valid
while it is written.
"""

import asyncio
import bisect
import contextlib
import ctypes
import os
import struct
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from hack.devcluster.objects import format_time

_TICK = 0.1
_ENTRY = struct.Struct("<dQ")
_KEEP = 16 * 2**20
_PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01
_BLOCK = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """The options of `pods/log`; counts in lines, bytes and seconds."""

    follow: bool = False
    tail_lines: int | None = None
    since: float | None = None
    """Epoch seconds."""
    timestamps: bool = False
    limit_bytes: int | None = None


class LogFile:
    """One container run's output."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._noted = 0
        self._punched = 0

    def open(self) -> int:
        """Descriptor for the container to append to; the caller closes it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    def note(self, now: float) -> None:
        """Index growth since the last call."""
        with contextlib.suppress(FileNotFoundError):
            size = self.path.stat().st_size
            if size <= self._noted:
                return
            with self.path.with_suffix(".idx").open("ab") as index:
                index.write(_ENTRY.pack(now, size))
            self._noted = size
            if size - self._punched > 2 * _KEEP:
                self._punch(size - _KEEP)

    def _punch(self, end: int) -> None:
        descriptor = os.open(self.path, os.O_WRONLY)
        try:
            fallocate = ctypes.CDLL(None, use_errno=True).fallocate64
            fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
            fallocate(descriptor, _PUNCH_HOLE_KEEP_SIZE, 0, end)
        finally:
            os.close(descriptor)
        self._punched = end

    def index(self) -> list[tuple[int, float]]:
        """(size, time) pairs in order."""
        try:
            raw = self.path.with_suffix(".idx").read_bytes()
        except FileNotFoundError:
            return []
        raw = raw[: len(raw) - len(raw) % _ENTRY.size]
        return [(size, moment) for moment, size in _ENTRY.iter_unpack(raw)]

    def remove(self) -> None:
        for path in (self.path, self.path.with_suffix(".idx")):
            path.unlink(missing_ok=True)


def line_time(index: list[tuple[int, float]], offset: int, *, default: float) -> float:
    """When the byte at `offset` was written, by the index."""
    position = bisect.bisect_right(index, (offset, float("inf")))
    return index[position][1] if position < len(index) else default


def start_offset(log: LogFile, query: LogQuery) -> int:
    """Where to begin reading for tailLines and since."""
    try:
        with log.path.open("rb") as file:
            begin = _first_data(file.fileno())
            size = os.fstat(file.fileno()).st_size
            if query.since is not None:
                earlier = [at for at, moment in log.index() if moment < query.since]
                begin = max(begin, earlier[-1] if earlier else 0)
            if query.tail_lines is not None:
                begin = max(begin, _tail(file.fileno(), begin, size, query.tail_lines))
            return begin
    except FileNotFoundError:
        return 0


def _first_data(descriptor: int) -> int:
    with contextlib.suppress(OSError):
        return os.lseek(descriptor, 0, os.SEEK_DATA)
    return 0


def _tail(descriptor: int, begin: int, end: int, lines: int) -> int:
    """Offset of the last `lines` lines, read backwards in blocks."""
    if lines <= 0:
        return end
    position, missing = end, lines
    last = os.pread(descriptor, 1, end - 1) if end > begin else b""
    if last == b"\n":
        # The end of the last line is no start of another one.
        position = end - 1
    while position > begin:
        start = max(begin, position - _BLOCK)
        block = os.pread(descriptor, position - start, start)
        cut = len(block)
        while (cut := block.rfind(b"\n", 0, cut)) >= 0:
            missing -= 1
            if missing <= 0:
                return start + cut + 1
        position = start
    return begin


class LogTicker:
    """Notes the growth of all open logs."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._open: set[LogFile] = set()

    def add(self, log: LogFile) -> None:
        self._open.add(log)

    def discard(self, log: LogFile) -> None:
        log.note(self._clock())
        self._open.discard(log)

    def is_open(self, log: LogFile) -> bool:
        return log in self._open

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            now = self._clock()
            for log in tuple(self._open):
                log.note(now)


async def read_log(log: LogFile, query: LogQuery, *, still_open: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Yield the log in blocks; with `follow` until the container has ended and everything is read."""
    offset = start_offset(log, query)
    left = query.limit_bytes
    while True:
        ended = not still_open()
        block = _read_block(log.path, offset)
        if block and query.timestamps:
            block, shown = _stamped(log, block, offset, whole_lines=query.follow and not ended)
        else:
            shown = block
        if block:
            offset += len(block)
            if left is not None:
                shown, left = shown[:left], left - len(shown)
            yield shown
            if left is not None and left <= 0:
                return
            continue
        if not query.follow or ended:
            return
        await asyncio.sleep(_TICK)


def _read_block(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            return os.pread(file.fileno(), _BLOCK, offset)
    except FileNotFoundError:
        return b""


def _stamped(log: LogFile, block: bytes, offset: int, *, whole_lines: bool) -> tuple[bytes, bytes]:
    """(bytes consumed, those bytes with a time before each line)."""
    if not block.endswith(b"\n"):
        cut = block.rfind(b"\n") + 1
        if cut or whole_lines:
            block = block[:cut]
    index, now, shown, position = log.index(), time.time(), [], offset
    for line in block.splitlines(keepends=True):
        moment = line_time(index, position, default=now)
        shown.append(f"{format_time(moment, micro=True)} ".encode() + line)
        position += len(line)
    return block, b"".join(shown)
