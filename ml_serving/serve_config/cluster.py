"""A Ray of one node inside this pod, with no more processes than serving needs.

Traps avoided: Ray replaces 127.0.0.1 by the machine's outward address, which a pod on loopback must not listen on, so
the neighbour 127.0.0.2 is named instead; and Ray starts an autoscaler, a dashboard and a log forwarder in every head
(about 180 MiB together), which a node that never grows and has no dashboard does not need.
"""

import contextlib
import logging
import os
import signal
import time
from pathlib import Path

import ray
from ray import serve

OBJECT_STORE_BYTES = 100 * 1024 * 1024
CPUS = 2
_UNNEEDED = ("autoscaler/_private/monitor.py", "dashboard/dashboard.py", "_private/log_monitor.py")
_NEEDED = ("gcs/gcs_server", "raylet/raylet")
_REAP_SECONDS = 5.0


def start(folder: Path, *, address: str, port: int) -> None:
    """Ray and Ray Serve on `address`; HTTP is at `port`. Raises RuntimeError or OSError when Ray does not come up."""
    ray.init(
        address="local",
        num_cpus=CPUS,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        configure_logging=False,
        log_to_driver=False,
        _node_ip_address=node_address(address),
        # Ray opens its folder to everybody, so it lies inside the private one.
        _temp_dir=str(folder / "r"),
    )
    end_unneeded()
    serve.start(
        proxy_location="HeadOnly",
        http_options={"host": address, "port": port},
        logging_config={"enable_access_log": False, "encoding": "JSON"},
    )
    for name in ("ray", "ray.serve"):
        # Their own handlers write plain text beside the pod's JSON lines.
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def node_address(address: str) -> str:
    """The address for Ray's own servers."""
    return "127.0.0.2" if address in ("127.0.0.1", "localhost", "::1") else address


def end_unneeded() -> int:
    """Kill, without their last words, the head's processes that one node does not need; how many there were.

    The dashboard process is the one that Ray starts even when no dashboard is wanted.
    """
    ended = [pid for pid, line in children().items() if any(part in line for part in _UNNEEDED)]
    for pid in ended:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _REAP_SECONDS
    for pid in ended:
        while time.monotonic() < deadline and not _reaped(pid):
            time.sleep(0.02)
    return len(ended)


def children() -> dict[int, str]:
    """Command lines of this process's own children, by id; a dead one has none."""
    found: list[str] = []
    for task in Path("/proc/self/task").iterdir():
        # A thread that ends in the meantime hands its children to another one.
        with contextlib.suppress(OSError):
            found += (task / "children").read_text().split()
    lines: dict[int, str] = {}
    for pid in found:
        with contextlib.suppress(OSError):
            lines[int(pid)] = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    return lines


def alive() -> bool:
    """Whether both of Ray's servers run; without them nothing here recovers."""
    lines = list(children().values())
    return all(any(part in line for line in lines) for part in _NEEDED)


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def stop() -> None:
    """Serve first, so that replicas finish what they answer, then Ray. Raises RayError."""
    if ray.is_initialized():
        serve.shutdown()
    ray.shutdown()
