"""CPU and memory of the pods, from /proc.

A pod's processes are found by session: every container starts one. Trap avoided: summing resident memory counts
shared pages once per process; anonymous memory is summed instead, which is what a limit is about.
"""

import asyncio
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
INTERVAL = 5.0


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since start, anonymous memory in bytes, processes."""

    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    processes: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """Usage of one container and the CPU cores it took over the window, in seconds; 0 when there is none yet."""

    usage: Usage
    cores: float
    window: float = 0.0
    taken: float = 0.0
    """Epoch seconds."""


def parse_stat(text: str) -> tuple[int, float]:
    """(session, CPU seconds of the process and its reaped children) of /proc/PID/stat."""
    fields = text.rpartition(")")[2].split()
    return int(fields[3]), sum(int(value) for value in fields[11:15]) / _TICKS


def _anonymous(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 0


def usage_by_session(sessions: Iterable[int]) -> dict[int, Usage]:
    """Usage of each session (the first process's id) by one walk over /proc."""
    wanted = set(sessions)
    result = {session: Usage() for session in wanted}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            session, cpu = parse_stat(Path(f"/proc/{entry}/stat").read_text())
        except (OSError, ValueError, IndexError):
            continue
        if session in wanted:
            old = result[session]
            memory = old.memory_bytes + _anonymous(int(entry))
            result[session] = Usage(old.cpu_seconds + cpu, memory, old.processes + 1)
    return result


class Sampler:
    """Keeps the last sample per session."""

    def __init__(self) -> None:
        self._last: dict[int, Usage] = {}
        self._when = 0.0
        self.samples: dict[int, Sample] = {}

    async def sample(self, sessions: Iterable[int]) -> dict[int, Sample]:
        """Take a sample off the loop."""
        now, taken = asyncio.get_running_loop().time(), time.time()
        current = await asyncio.to_thread(usage_by_session, tuple(sessions))
        elapsed = now - self._when
        fresh: dict[int, Sample] = {}
        for session, usage in current.items():
            before = self._last.get(session)
            if before is None or elapsed <= 0:
                fresh[session] = Sample(usage, 0.0, taken=taken)
                continue
            cores = max(0.0, usage.cpu_seconds - before.cpu_seconds) / elapsed
            fresh[session] = Sample(usage, cores, window=elapsed, taken=taken)
        self._last, self._when, self.samples = current, now, fresh
        return fresh
