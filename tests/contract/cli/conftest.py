"""A Kubernetes API with Haat's kinds and a shop, and the CLI as a person runs it."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cli.kube import Kube
from hack.cli.paths import ROOT

Obj = dict[str, Any]
READY_SECONDS = 30.0
CHANNEL = {
    "apiVersion": "haat.dev/v1alpha1",
    "kind": "Channel",
    "metadata": {"name": "aarong"},
    "spec": {"displayName": "Aarong Live", "slug": "aarong"},
}
STREAM = {
    "apiVersion": "haat.dev/v1alpha1",
    "kind": "LiveStream",
    "metadata": {"name": "launch"},
    "spec": {"channel": {"name": "aarong"}, "title": "Launch night"},
}
SALE = {
    "apiVersion": "haat.dev/v1alpha1",
    "kind": "FlashSale",
    "metadata": {"name": "drop"},
    "spec": {
        "stream": {"name": "launch"},
        "startsAt": "2035-01-01T10:00:00Z",
        "endsAt": "2035-01-01T11:00:00Z",
        "items": [{"sku": "A", "title": "A", "price": {"amount": 100, "currency": "BDT"}, "stock": 10}],
    },
}
STATUS = {
    "phase": "Standby",
    "reason": "NoPublisher",
    "viewers": 12,
    "peakViewers": 40,
    "keySecret": "launch-stream-key",
    "urls": {"hls": "http://shop.example/hls/shop/launch/master.m3u8", "ingest": "rtmp://shop.example:1935/live"},
    "fanout": {"replicas": 2, "readyReplicas": 1, "connections": 15},
    "conditions": [
        {
            "type": "Receiving",
            "status": "False",
            "reason": "NoPublisher",
            "message": "No media arrives from a publisher.",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ],
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running API server."""

    kubeconfig: Path

    def __call__(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """`haat …` in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "hack.cli", *arguments],
            cwd=ROOT,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ask(self, method: str, path: str, body: Obj | None = None, *, media: str = "application/json") -> Obj:
        """One call to the API."""

        async def call() -> Obj:
            async with await Kube.connect(self.kubeconfig) as kube:
                return await kube.call(method, path, body=body, content_type=media)

        return asyncio.run(call())


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """devcluster's API server with the custom resources."""
    folder = tmp_path_factory.mktemp("cli")
    path = folder / "kubeconfig"
    command = [sys.executable, "-m", "hack.devcluster.apiserver", "--state-dir", str(folder / "state"), "--port", "0"]
    process = subprocess.Popen([*command, "--kubeconfig-out", str(path), "--die-with-parent"], cwd=ROOT)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not path.exists():
            assert process.poll() is None, "the API server ended before it was ready"
            assert time.monotonic() < deadline, "the API server was not ready in time"
            time.sleep(0.02)
        cluster = Cluster(path)
        for file in sorted((ROOT / "crds").glob("*.yaml")):
            definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            cluster.ask("POST", definitions, yaml.safe_load(file.read_text()))
        served(cluster)
        yield cluster
    finally:
        process.terminate()
        process.wait(10)


def served(cluster: Cluster) -> None:
    """Wait until the three kinds are served."""
    deadline = time.monotonic() + READY_SECONDS
    while cluster("get", "-A").returncode:
        assert time.monotonic() < deadline, cluster("get", "-A").stderr


@pytest.fixture
def shop(api: Cluster, request: pytest.FixtureRequest) -> Iterator[tuple[str, Callable[..., Any]]]:
    """A namespace with a channel, a stream in Standby and a sale; and `haat -n` that namespace."""
    name = f"shop-{abs(hash(request.node.name)) % 10**8}"
    api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    base = f"/apis/haat.dev/v1alpha1/namespaces/{name}"
    for body, plural in ((CHANNEL, "channels"), (STREAM, "livestreams"), (SALE, "flashsales")):
        api.ask("POST", f"{base}/{plural}", body)
    merge = "application/merge-patch+json"
    api.ask("PATCH", f"{base}/livestreams/launch/status", {"status": STATUS}, media=merge)

    def haat(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return api(*arguments, "-n", name, **environment)

    yield name, haat
    api.ask("DELETE", f"/api/v1/namespaces/{name}")
