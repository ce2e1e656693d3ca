"""A small helper process that outlives this one for a moment and ends whatever Ray left behind.

Ray's servers end with the process that started them, its agents and workers notice later or not at all when that
process is killed. The helper waits at a pipe that only this process holds; its end means that this process is gone,
however it went. It is a shell, not Python, because it stays for the whole life of the pod.

Trap avoided: Ray's processes write their title over their environment, so a marker in it gets lost. What all of them
keep is an open log in the run's private folder, and by that they are found.
"""

import os
import subprocess
from pathlib import Path

WAIT_SECONDS = 5.0

_SCRIPT = r"""
trap '' TERM INT HUP
read -r _
round=0
while [ "$round" -lt 20 ]; do
  found=$(find /proc/[0-9]*/fd -lname "$1/*" 2>/dev/null | cut -d/ -f3 | sort -u | grep -vx -- "$2")
  [ -z "$found" ] && break
  for process in $found; do
    kill -9 "$process" 2>/dev/null
  done
  round=$((round + 1))
  sleep 0.1
done
rm -rf -- "$1"
"""


class Guard:
    """Runs from its making until `close`, or until this process ends."""

    def __init__(self, folder: Path) -> None:
        reading, self._pipe = os.pipe()
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "haat-models-guard", str(folder), str(os.getpid())],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            start_new_session=True,
            cwd=Path("/"),
        )
        os.close(reading)

    def close(self) -> None:
        """Let it do its round now and wait for its end; TimeoutExpired when processes will not die."""
        os.close(self._pipe)
        self._process.wait(WAIT_SECONDS)
