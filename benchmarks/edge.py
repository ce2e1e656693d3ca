"""The edge: LL-HLS viewers per core at 200 ms parts with sound, requests per core-second, memory, origin fetches.

The edge's own CPU time is read from the kernel, so other load on the machine changes little. The same viewers are put
on plain uvicorn (ASGI) and, for static parts, on nginx where it is installed.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from benchmarks.report import Figure, figure, note
from tests.contract.edge.keys import Keys
from tests.support.servers import free_port, redis_server, wait_port

SECONDS = float(os.environ.get("HAAT_BENCH_SECONDS", "5"))
VIEWERS = 200
STREAM, CLOSED = "bench/show", "bench/closed"
_TICK = os.sysconf("SC_CLK_TCK")


def run() -> list[Figure]:
    """All figures of the edge."""
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
        store, keys, origin_port = redis.Redis(port=server.port), Keys(), free_port()
        origin = f"http://127.0.0.1:{origin_port}"
        store.hset("haat:streams", STREAM, json.dumps({"origin": origin}))
        store.hset("haat:streams", CLOSED, json.dumps({"origin": origin, "slug": "closed"}))
        store.hset("haat:channels", "closed", json.dumps({"channel": "bench/closed"} | keys.rules()))
        cookie = f"Cookie: haat_playback={keys.token(CLOSED, ttl_seconds=3600)}"
        with process("origin", "--port", str(origin_port)):
            wait_port(origin_port)
            return [*measure(server.url, origin, cookie), *memory(server.url, store, origin)]


def measure(redis_url: str, origin: str, cookie: str) -> list[Figure]:
    """Viewers and requests per core, ours and plain uvicorn's, and what reached the origin."""
    with edge(redis_url, "--plain") as (port, pid):
        plain = watch(port, pid, STREAM)
        plain_requests = watch(port, pid, STREAM, "--saturate")
    with edge(redis_url) as (port, pid):
        open_ones = watch(port, pid, STREAM)
        requests = watch(port, pid, STREAM, "--saturate")
        before = asked(origin)
        closed = watch(port, pid, CLOSED, "--header", cookie)
        fetched = {key: value for key, value in asked(origin).items() if CLOSED in key and key not in before}
        closed_requests = watch(port, pid, CLOSED, "--saturate", "--header", cookie)
    static = nginx()
    port = free_port()
    with process("bare", "--port", str(port)) as pid:
        wait_port(port)
        bare = watch(port, pid, STREAM, "--saturate")["per_core"]
    twice = sum(value - 1 for key, value in fetched.items() if key.endswith(".m4s"))
    return [
        figure(
            "edge: LL-HLS viewers per core (200 ms, A+V)",
            open_ones["viewers_per_core"],
            "viewers",
            bar=2000,
            better="higher",
            reference="plain uvicorn",
            reference_value=plain["viewers_per_core"],
        ),
        figure("edge: the same with a token", closed["viewers_per_core"], "viewers", bar=2000, better="higher"),
        figure(
            "edge: requests per core-second (audio part)",
            requests["per_core"],
            "req/s",
            bar=40_000,
            better="higher",
            reference="plain uvicorn",
            reference_value=plain_requests["per_core"],
        ),
        figure(
            "edge: of what a bare protocol reads and writes",
            requests["per_core"] / bare,
            "of it",
            bar=0.6,
            better="higher",
            reference="nginx" if static else "bar",
            reference_value=static / bare if static else None,
        ),
        figure("edge: the same with a token", closed_requests["per_core"], "req/s", bar=40_000, better="higher"),
        figure("edge: parts that were fetched twice", twice, "fetches", bar=0),
        figure("edge: reload after its part, p99", closed["late_p99_ms"], "ms", bar=50),
    ]


def memory(redis_url: str, store: Any, origin: str) -> list[Figure]:
    """Resident memory with the last seconds of fifty streams in the cache."""
    with edge(redis_url) as (port, pid):
        for index in range(50):
            stream = f"bench/s{index}"
            store.hset("haat:streams", stream, json.dumps({"origin": origin}))
            for rung in ("480p", "audio"):
                for part in range(30):
                    path = f"http://127.0.0.1:{port}/hls/{stream}/{rung}/{part // 10}.{part % 10}.m4s"
                    urllib.request.urlopen(path, timeout=10).read()
        status = Path(f"/proc/{pid}/status").read_text()
    resident = int(status.split("VmRSS:")[1].split()[0]) / 1024
    return [figure("edge: memory with 50 streams", resident, "MiB", bar=150)]


def watch(port: int, pid: int, stream: str, *options: str) -> dict[str, Any]:
    """Load of one process; viewers per core and requests per core-second of the edge's own time."""
    command = ["--port", str(port), "--base", f"/hls/{stream}", "--seconds", str(SECONDS), "--viewers", str(VIEWERS)]
    before = cpu_seconds(pid)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.edge_load", "watch", *command, *options],
        check=True,
        capture_output=True,
        timeout=SECONDS + 60,
    )
    spent = cpu_seconds(pid) - before
    found: dict[str, Any] = json.loads(done.stdout)
    note(f"{stream} {' '.join(options)[:40]}: {found}, {spent:.2f} s of CPU")
    if found["failed"]:
        raise RuntimeError(f"{found['failed']} answers were refusals")
    found["per_core"] = found["answers"] / spent
    found["viewers_per_core"] = VIEWERS * SECONDS / spent
    return found


def nginx() -> float:
    """Requests per core-second of nginx for the same part as a file; 0 where it is not installed."""
    binary = shutil.which("nginx")
    if binary is None:
        note("nginx is not installed: no reference")
        return 0.0
    with tempfile.TemporaryDirectory() as folder:
        root, port = Path(folder), free_port()
        part = root / "hls" / STREAM / "audio" / "1.1.m4s"
        part.parent.mkdir(parents=True)
        part.write_bytes(bytes(3200))
        (root / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error; events {{}}\n"
            f"http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {root}/b; proxy_temp_path "
            f"{root}/p; fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s; "
            f"server {{ listen 127.0.0.1:{port}; root {root}; add_header content-length-is known; }} }}\n"
        )
        with subprocess.Popen([binary, "-c", str(root / "nginx.conf")], stderr=subprocess.DEVNULL) as master:
            try:
                wait_port(port)
                children = Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split()
                return float(watch(port, int(children[0]), STREAM, "--saturate")["per_core"])
            finally:
                master.terminate()


def asked(origin: str) -> dict[str, int]:
    """What the origin was asked for."""
    found: dict[str, int] = json.load(urllib.request.urlopen(f"{origin}/asked", timeout=5))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


@contextlib.contextmanager
def edge(redis_url: str, *options: str) -> Iterator[tuple[int, int]]:
    """An edge in a process of its own: port and process id."""
    port = free_port()
    with process("serve", "--port", str(port), "--redis", redis_url, *options) as pid:
        wait_port(port)
        yield port, pid


@contextlib.contextmanager
def process(*arguments: str) -> Iterator[int]:
    """One of the processes of `benchmarks.edge_load`."""
    with subprocess.Popen([sys.executable, "-m", "benchmarks.edge_load", *arguments]) as made:
        try:
            yield made.pid
        finally:
            made.terminate()
            time.sleep(0.1)
            if made.poll() is None:
                made.kill()
