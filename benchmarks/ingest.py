"""RTMP ingest: CPU per publisher of 6 Mbps with sound, and memory with twenty of them.

A real ingest process between real publishers (ffmpeg, which sends one file again and again at its own speed) and a sink
that takes what a transcoder would. The CPU time is the process's own, so other load on the machine changes little.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import redis

from benchmarks.report import Figure, figure, note
from tests.support.servers import free_port, redis_server, wait_port

SECONDS = float(os.environ.get("HAAT_BENCH_SECONDS", "30"))
PUBLISHERS, MANY = 4, 20
KBPS, SETTLE_SECONDS, FILE_SECONDS = 6_000, 4.0, 12
_TICK = os.sysconf("SC_CLK_TCK")


def run() -> list[Figure]:
    """All figures of ingest."""
    with tempfile.TemporaryDirectory() as name, redis_server(Path(name)) as server:
        folder, sink = Path(name), free_port()
        encode(folder / "source.flv")
        store = redis.Redis(port=server.port)
        for index in range(MANY):
            entry = {"stream": f"bench/{index}", "uid": str(index), "target": f"http://127.0.0.1:{sink}"}
            store.hset("haat:ingest", hashlib.sha256(key(index).encode()).hexdigest(), json.dumps(entry))
        with process("benchmarks.ingest_sink", "--port", str(sink)):
            wait_port(sink)
            with ingest(server.url) as (port, pid):
                return [cost(port, pid, folder / "source.flv"), memory(port, pid, folder / "source.flv")]


def key(index: int) -> str:
    """A stream key."""
    return f"sk-bench-{index}"


def encode(target: Path) -> None:
    """The file that all publishers send: noise, so that the rate is reached, in a constant rate, with sound."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-f", "lavfi"]
    command += ["-i", "testsrc2=size=1280x720:rate=30,noise=alls=20:allf=t", "-f", "lavfi", "-i", "sine=frequency=440"]
    command += ["-t", str(FILE_SECONDS), "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "60"]
    command += ["-b:v", f"{KBPS}k", "-minrate", f"{KBPS}k", "-maxrate", f"{KBPS}k", "-bufsize", f"{KBPS // 2}k"]
    command += ["-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-f", "flv", str(target)]
    subprocess.run(command, check=True, timeout=300)


def cost(port: int, pid: int, source: Path) -> Figure:
    """CPU time of the process per stream."""
    with publishers(port, source, PUBLISHERS):
        time.sleep(SETTLE_SECONDS)
        began, before, ran = time.monotonic(), cpu_seconds(pid), scheduled_seconds(pid)
        time.sleep(SECONDS)
        passed = time.monotonic() - began
        spent, ran = cpu_seconds(pid) - before, scheduled_seconds(pid) - ran
    per_stream = 100 / passed / PUBLISHERS
    note(
        f"{spent:.2f} s of CPU by the tick, {ran:.2f} s by the scheduler ({ran * per_stream:.2f} %), in {passed:.1f} s"
    )
    return figure(f"ingest: CPU per RTMP stream of {KBPS / 1000:g} Mbps", spent * per_stream, "% of a core", bar=1)


def memory(port: int, pid: int, source: Path) -> Figure:
    """Resident memory with many publishers, each with its group of pictures in memory."""
    with publishers(port, source, MANY):
        time.sleep(SETTLE_SECONDS * 2)
        status = Path(f"/proc/{pid}/status").read_text()
    resident = int(status.split("VmRSS:")[1].split()[0]) / 1024
    return figure(f"ingest: memory with {MANY} publishers", resident, "MiB", bar=80)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, counted by the kernel's tick."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def scheduled_seconds(pid: int) -> float:
    """Time that its threads ran by the scheduler's clock, to tell whether the tick sampled fairly."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


@contextlib.contextmanager
def ingest(redis_url: str) -> Iterator[tuple[int, int]]:
    """The workload in a process of its own: its RTMP port and process id."""
    rtmp, health = free_port(), free_port()
    settings = {
        "POD_IP": "127.0.0.1",
        "POD_NAME": "ingest-0",
        "HAAT_LISTEN_PORT": str(health),
        "HAAT_RTMP_PORT": str(rtmp),
        "HAAT_REDIS_URL": redis_url,
    }
    with process("workloads.ingest", **settings) as pid:
        wait_port(health)
        yield rtmp, pid


@contextlib.contextmanager
def publishers(port: int, source: Path, count: int) -> Iterator[None]:
    """ffmpeg as so many hosts; RuntimeError when one of them did not stay."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-re", "-stream_loop", "-1"]
    command += ["-i", str(source), "-c", "copy", "-f", "flv"]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for index in range(count):
            running.append(subprocess.Popen([*command, f"rtmp://127.0.0.1:{port}/live/{key(index)}"]))
            time.sleep(0.05)
        yield
        if any(item.poll() is not None for item in running):
            raise RuntimeError("a publisher left before the end")
    finally:
        for item in running:
            item.kill()
            item.wait(10)


@contextlib.contextmanager
def process(module: str, *arguments: str, **environment: str) -> Iterator[int]:
    """A module of this checkout as a process."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL) as made:
        try:
            yield made.pid
        finally:
            made.terminate()
