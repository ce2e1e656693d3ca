"""A platform of its own for the benchmarks, and what its processes cost."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.e2e.conftest import Platform, start, stop

CLOCK_TICKS = 100.0


@contextmanager
def running() -> Iterator[Platform]:
    """A platform that was started once before, as a newcomer's second `make up`."""
    with tempfile.TemporaryDirectory(prefix="haat-bench-") as folder:
        state = Path(folder)
        stop(start(state))
        platform = start(state)
        try:
            yield platform
        finally:
            if platform.process.poll() is None:
                stop(platform)


def timed_start(state: Path) -> tuple[float, Platform]:
    """Seconds from the command to a playlist that can be played."""
    began = time.monotonic()
    platform = start(state)
    while "#EXTM3U" not in httpx.get(platform.endpoints["hls"], timeout=5).text:
        time.sleep(0.05)
    return time.monotonic() - began, platform


def memory_mib(platform: Platform, *, without: str = "\0") -> float:
    """Resident memory of all processes, in MiB; `without` leaves out command lines that have this text."""
    total = 0
    for pid, command in platform.pod_processes().items():
        if without in command:
            continue
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
        total += pages * 4096
    return total / 2**20


def cpu_seconds(platform: Platform) -> dict[int, float]:
    """Processor time that each of the platform's processes has used, by process id."""
    used = {}
    for pid in platform.pod_processes():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        used[pid] = (int(fields[11]) + int(fields[12])) / CLOCK_TICKS
    return used
