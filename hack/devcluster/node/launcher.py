"""Executed in the child before the container's command: binds its life to the agent's, then replaces itself.

Run as `python -I -S launcher.py PARENT_PID CWD COMMAND...`; imports nothing but built-ins so that it costs ~10 ms. Trap
avoided: a `preexec_fn` in the agent would run Python between fork and exec of a threaded process, which may dead-lock.
"""

import os
import sys

PR_SET_PDEATHSIG = 1
SIGKILL = 9


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL on the parent's death; leave at once when it is dead already."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(137)


def main(arguments: list[str]) -> None:
    parent, folder, command = int(arguments[0]), arguments[1], arguments[2:]
    die_with_parent(parent)
    try:
        os.chdir(folder)
        os.execvp(command[0], command)  # noqa: S606 - running the pod's command is the purpose
    except OSError as error:
        os.write(2, f"cannot run {command[0]}: {error}\n".encode())
        os._exit(126 if isinstance(error, PermissionError) else 127)


if __name__ == "__main__":
    main(sys.argv[1:])
