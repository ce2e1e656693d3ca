"""The transcoder's price: three-rung streams per core beside bare ffmpeg in the same run, and a pod's memory.

The source is the moving test picture at 1080p30 with sound, made once and then sent in real time. Bare ffmpeg gets the
same command line but writes to nowhere, so the difference is what grouping, packaging and serving cost. Both run one
after the other on the same machine; its load is in the report.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import imageio_ffmpeg

from benchmarks.report import Figure, figure, note
from workloads.transcoder.config import Ladder
from workloads.transcoder.encode.command import EncodePlan, build
from workloads.transcoder.encode.ladder import choose
from workloads.transcoder.source import Source

RUNGS = (("720p", 1280, 720, 2800), ("480p", 854, 480, 1200), ("360p", 640, 360, 700))
LADDER = {
    "rungs": [{"name": n, "width": w, "height": h, "fps": 30, "video_kbps": k} for n, w, h, k in RUNGS],
    "audio_kbps": 128,
    "gop_seconds": 2.0,
    "segment_seconds": 2.0,
    "part_seconds": 0.2,
}
SECONDS = float(os.environ.get("HAAT_BENCH_SECONDS", "60"))
SETTLE_SECONDS = 5.0
STREAMS_PER_CORE, SHARE_OF_BARE, MEMORY_MIB = 1.25, 0.9, 350.0
PORT, KEY, STREAM = 18_931, "sk-benchmark-0123456789", "bench/one"


def run() -> list[Figure]:
    """All figures of this plane."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = _source(folder)
        bare = _bare(folder, source)
        pod, memory = _pod(folder, source)
    note(f"bare ffmpeg: {bare:.2f} cores a stream; the pod: {pod:.2f}; load {os.getloadavg()[0]:.1f}")
    return [
        figure("three-rung streams per core", 1 / pod, "", bar=STREAMS_PER_CORE, better="higher"),
        figure("share of bare ffmpeg's streams per core", bare / pod, "", bar=SHARE_OF_BARE, better="higher"),
        figure("memory of a pod with three rungs", memory, "MiB", bar=MEMORY_MIB),
    ]


def _source(folder: Path) -> Path:
    """The publisher's FLV, 1080p30 at 6 Mbps with noise and sound."""
    path = folder / "source.flv"
    picture = "testsrc2=s=1920x1080:r=30,noise=alls=12:allf=t"
    arguments = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=frequency=220:sample_rate=48000"]
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-b:v", "6M", "-maxrate", "6M", "-bufsize", "6M", "-g", "60"]
    coding += ["-pix_fmt", "yuv420p", "-bf", "0", "-c:a", "aac", "-t", str(SECONDS + 2 * SETTLE_SECONDS)]
    subprocess.run([_ffmpeg(), "-v", "error", *arguments, *coding, "-y", str(path)], check=True, timeout=1800)
    return path


def _bare(folder: Path, source: Path) -> float:
    """Cores that ffmpeg alone takes, with the command line that the pod uses."""
    ladder = Ladder.model_validate(LADDER)
    rungs = tuple(choose(ladder, Source(1920, 1080, 30.0, has_video=True, has_audio=True)))
    plan = EncodePlan(rungs, True, ladder, 0.0, "superfast")
    arguments = build(_ffmpeg(), plan, dict.fromkeys(plan.names, 1))
    arguments = [str(folder / "null") if item == "pipe:1" else item for item in arguments]
    arguments[arguments.index("-i")] = "-re"
    at = arguments.index("-re")
    arguments[at : at + 2] = ["-re", "-i", str(source)]
    (folder / "null").symlink_to("/dev/null")
    process = subprocess.Popen([*arguments, "-y"], stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        return _cores(lambda: _ticks(process.pid))
    finally:
        process.kill()
        process.wait()


def _pod(folder: Path, source: Path) -> tuple[float, float]:
    """Cores and MiB of a transcoder pod and its encoder while it serves the stream."""
    (folder / "stream.json").write_text(json.dumps({"stream": STREAM, "ladder": LADDER}))
    (folder / "key").write_text(KEY)
    settings = {
        "HAAT_STREAM_FILE": str(folder / "stream.json"),
        "HAAT_STREAM_KEY_FILE": str(folder / "key"),
        "HAAT_LISTEN_PORT": str(PORT),
        "HAAT_REDIS_URL": "redis://127.0.0.1:1/0",
        "HAAT_PASSTHROUGH": "false",
        "HAAT_ENCODER": "cpu",
    }
    with (folder / "log").open("wb") as log:
        pod = subprocess.Popen(
            [sys.executable, "-m", "workloads.transcoder"], env=os.environ | settings, stdout=log, stderr=log
        )
        headers = f"Authorization: Bearer {KEY}\r\nContent-Type: video/x-flv\r\n"
        target = f"http://127.0.0.1:{PORT}/ingest"
        try:
            _ready()
            sender = subprocess.Popen(
                [
                    *(_ffmpeg(), "-v", "error", "-re", "-i", str(source), "-c", "copy", "-f", "flv"),
                    *("-method", "POST", "-chunked_post", "1", "-headers", headers, target),
                ],
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
            try:
                cores = _cores(lambda: _ticks(pod.pid, *_children(pod.pid)))
                memory = sum(_resident_mib(pid) for pid in (pod.pid, *_children(pod.pid)))
                playlist = httpx.get(f"http://127.0.0.1:{PORT}/hls/{STREAM}/720p/media.m3u8", timeout=10)
                playlist.raise_for_status()
                if "encoder replaced" in (folder / "log").read_text():
                    note("a rung was shed: the machine is too busy, and the pod's figures are too good")
                return cores, memory
            finally:
                sender.kill()
                sender.wait()
        finally:
            pod.kill()
            pod.wait()


def _ready() -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{PORT}/readyz", timeout=1).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise TimeoutError("the transcoder did not start")


def _cores(ticks: Callable[[], float]) -> float:
    """Processor seconds per second over the time of the benchmark."""
    time.sleep(SETTLE_SECONDS)
    began, before = time.monotonic(), ticks()
    time.sleep(SECONDS)
    return (ticks() - before) / (time.monotonic() - began)


def _ticks(*pids: int) -> float:
    """Processor seconds that the processes have used, and children of theirs that have ended."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(field) for field in fields[11:15])
    return total / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _ffmpeg() -> str:
    return os.environ.get("HAAT_FFMPEG") or str(imageio_ffmpeg.get_ffmpeg_exe())
