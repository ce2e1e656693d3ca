"""The cluster plane: how fast the platform stands, how fast a resource becomes pods, what it costs at rest."""

import json
import tempfile
import time
from pathlib import Path

from benchmarks.platform import cpu_seconds, memory_mib, timed_start
from benchmarks.report import Figure, figure, note, percentile
from tests.e2e.conftest import Platform, stop, wait_for

ROUNDS = 5
IDLE_SECONDS = 30.0


def run() -> list[Figure]:
    """All figures of this plane."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="haat-bench-") as folder:
        state = Path(folder)
        note("first start of an installed checkout")
        first, platform = timed_start(state)
        figures.append(figure("installed checkout, empty state, to a playing stream", first, "s", bar=30))
        stop(platform)
        note("second start")
        again, platform = timed_start(state)
        figures.append(figure("second make up to a playing stream", again, "s", bar=15))
        try:
            note("waiting until the models serve")
            wait_for(lambda: models_serve(platform), seconds=120)
            time.sleep(10)
            figures.append(standby(platform))
            figures += at_rest(platform)
        finally:
            stop(platform)
    return figures


def models_serve(platform: Platform) -> bool:
    """Whether Ray Serve is ready: its start would be measured with everything else."""
    status = platform.get("rayservice", "haat-models").get("status") or {}
    return any(item["status"] == "True" for item in status.get("conditions") or () if item["type"] == "RayServiceReady")


def standby(platform: Platform) -> Figure:
    """From `kubectl apply` of a LiveStream to Standby."""
    times = []
    for number in range(ROUNDS):
        name = f"bench-{number}"
        for manifest in resources(name):
            platform.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
        began = time.monotonic()
        platform.kubectl(
            "-n", "shop", "wait", f"lstream/{name}", "--for=jsonpath={.status.phase}=Standby", "--timeout=60s"
        )
        times.append(time.monotonic() - began)
        platform.kubectl("-n", "shop", "delete", "lstream", name, "--timeout=60s")
        platform.kubectl("-n", "shop", "delete", "channel", name, "--timeout=60s")
    return figure("LiveStream applied to Standby, p95", percentile(times, 0.95), "s", bar=5)


def resources(name: str) -> list[dict]:
    """A channel and a stream of that name."""
    common = {"apiVersion": "haat.dev/v1alpha1", "metadata": {"name": name, "namespace": "shop"}}
    stream = {"channel": {"name": name}, "title": name, "fanout": {"drain": "1s"}}
    return [
        common | {"kind": "Channel", "spec": {"displayName": name, "slug": name}},
        common | {"kind": "LiveStream", "spec": stream},
    ]


def at_rest(platform: Platform) -> list[Figure]:
    """Memory and processor without a publisher."""
    note(f"waiting for rest, then measuring for {IDLE_SECONDS:.0f} s")
    platform.kubectl("-n", "shop", "scale", "deployment", "test-source", "--replicas=0")
    wait_for(lambda: platform.get("lstream", "launch")["status"]["phase"] == "Interrupted", seconds=60)
    time.sleep(10)
    with_models = memory_mib(platform)
    platform.kubectl("-n", "shop", "patch", "channel", "aarong", "--type=merge", "-p", '{"spec":{"models":[]}}')
    wait_for(lambda: not any("ray" in command.lower() for command in platform.pod_processes().values()), seconds=60)
    time.sleep(10)
    before = cpu_seconds(platform)
    time.sleep(IDLE_SECONDS)
    after = cpu_seconds(platform)
    used = sum(after[pid] - before.get(pid, 0.0) for pid in after) / IDLE_SECONDS * 100
    return [
        figure("resident memory at rest, with the model app", with_models, "MiB", bar=2.2 * 1024),
        figure("resident memory at rest, without models", memory_mib(platform), "MiB", bar=1.2 * 1024),
        figure("processor at rest, without models", used, "% of a core", bar=10),
    ]
