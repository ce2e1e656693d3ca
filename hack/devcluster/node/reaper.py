"""Kills what the agent leaves behind. Run as `python -I -S reaper.py MARKER` with a pipe from the agent as stdin.

The parent-death signal reaches only direct children of the agent; a grandchild (a media encoder, a database worker)
lives on when the agent is killed. The end of the pipe tells that the agent is gone; then every process that carries
the marker in its environment is killed, again and again until none is left.
"""

import os
import signal
import sys
import time

_ROUNDS = 50


def marked_processes(marker: bytes) -> list[int]:
    """Ids of processes whose environment holds the entry `marker`; those one may not read are none of ours."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                if marker in file.read().split(b"\0"):
                    found.append(int(entry))
        except OSError:
            continue
    return found


def kill_marked(marker: bytes, *, rounds: int = _ROUNDS) -> int:
    """Kill until nothing marked is left; returns how many were found. A fork may race, hence the rounds."""
    killed = 0
    for _ in range(rounds):
        found = marked_processes(marker)
        if not found:
            break
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
                killed += 1
            except OSError:
                continue
        time.sleep(0.02)
    return killed


def main(marker: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 64):
        pass
    kill_marked(marker.encode())


if __name__ == "__main__":
    main(sys.argv[1])
