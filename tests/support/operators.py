"""The operators as processes of their own, against an API server and a Redis of the test's."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import yaml
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic import DynamicClient

from tests.support.servers import ROOT, RedisServer, free_port

API = "haat.dev/v1alpha1"
Obj = dict[str, Any]
PLATFORM = {"namespace": "haat-system", "pools": {"default": {"buffer": {"size": 0, "min": 0}}}}


class ApiServer:
    """A devcluster API server that can be stopped and started again with what it stores."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it is ready."""
        command = [sys.executable, "-m", "hack.devcluster.apiserver", "--state-dir", str(self.folder / "state")]
        command += ["--port", str(self.port), "--kubeconfig-out", str(self.kubeconfig), "--die-with-parent"]
        self.kubeconfig.unlink(missing_ok=True)
        self._process = subprocess.Popen(command, cwd=ROOT)
        deadline = time.monotonic() + 20
        while not self.kubeconfig.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the API server did not start")
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop; SIGKILL is a crash."""
        if self._process:
            self._process.send_signal(number)
            self._process.wait(10)

    def rss_mib(self) -> float:
        """Resident memory."""
        assert self._process is not None
        return resident_mib(self._process.pid)


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no such process")


class Operator:
    """One replica of the operators."""

    def __init__(self, folder: Path, kubeconfig: Path, redis_url: str, *, name: str, **settings: str) -> None:
        self.name = name
        self.port = free_port()
        self.log = folder / f"{name}.log"
        self.platform_file = folder / "platform.yaml"
        if not self.platform_file.exists():
            self.platform_file.write_text(yaml.safe_dump(PLATFORM))
        self._environment = os.environ | {
            "KUBECONFIG": str(kubeconfig),
            "POD_NAME": name,
            "POD_NAMESPACE": "haat-system",
            "HAAT_LISTEN_PORT": str(self.port),
            "HAAT_REDIS_URL": redis_url,
            "HAAT_PLATFORM_FILE": str(self.platform_file),
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start; it leads as soon as the Lease is free."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "operators"], env=self._environment, cwd=ROOT, stdout=log, stderr=log
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop; the exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)

    async def metric(self, name: str) -> float:
        """Sum over the series of a metric; 0 while it does not answer."""
        try:
            async with httpx.AsyncClient(timeout=2) as http:
                text = (await http.get(f"http://127.0.0.1:{self.port}/metrics")).text
        except httpx.HTTPError:
            return 0.0
        rows = [row for row in text.splitlines() if row.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(row.rpartition(" ")[2]) for row in rows)

    async def leads(self) -> bool:
        """Whether it holds the Lease."""
        return await self.metric("haat_leader") == 1

    def rss_mib(self) -> float:
        """Resident memory."""
        assert self.process is not None
        return resident_mib(self.process.pid)


@contextlib.contextmanager
def running(*operators: Operator) -> Iterator[None]:
    """Start all, stop all."""
    try:
        for operator in operators:
            operator.start()
        yield
    finally:
        for operator in operators:
            operator.stop(signal.SIGKILL)


class Tenant:
    """Objects of one namespace."""

    def __init__(self, dynamic: DynamicClient, namespace: str) -> None:
        self.dynamic = dynamic
        self.namespace = namespace

    async def _kind(self, api_version: str, kind: str) -> Any:
        return await self.dynamic.resources.get(api_version=api_version, kind=kind)

    async def create(self, obj: Obj) -> Obj:
        """Create."""
        kind = await self._kind(obj["apiVersion"], obj["kind"])
        return (await kind.create(body=obj, namespace=self.namespace)).to_dict()  # type: ignore[no-any-return]

    async def get(self, api_version: str, kind: str, name: str) -> Obj | None:
        """One object, or None."""
        resource = await self._kind(api_version, kind)
        try:
            return (await resource.get(name=name, namespace=self.namespace)).to_dict()  # type: ignore[no-any-return]
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    async def list(self, api_version: str, kind: str) -> list[Obj]:
        """All objects of a kind."""
        resource = await self._kind(api_version, kind)
        return list((await resource.get(namespace=self.namespace)).to_dict()["items"])

    async def patch(self, api_version: str, kind: str, name: str, body: Obj) -> Obj:
        """JSON merge patch."""
        resource = await self._kind(api_version, kind)
        media = "application/merge-patch+json"
        answer = await resource.patch(body=body, name=name, namespace=self.namespace, content_type=media)
        return answer.to_dict()  # type: ignore[no-any-return]

    async def delete(self, api_version: str, kind: str, name: str) -> None:
        """Delete."""
        resource = await self._kind(api_version, kind)
        await resource.delete(name=name, namespace=self.namespace)

    async def condition(self, kind: str, name: str, condition: str) -> Obj:
        """One condition of one of our resources; empty while it is not there."""
        body = await self.get(API, kind, name) or {}
        found = [item for item in (body.get("status") or {}).get("conditions", []) if item["type"] == condition]
        return found[0] if found else {}

    async def events(self, name: str) -> set[str]:
        """Reasons of the events about an object."""
        return {item["reason"] for item in await self.list("v1", "Event") if item["involvedObject"]["name"] == name}


@contextlib.asynccontextmanager
async def tenant(kubeconfig: Path, namespace: str) -> AsyncIterator[Tenant]:
    """A namespace on a cluster that serves our kinds."""
    async with await config.new_client_from_config(str(kubeconfig)) as connection:
        core = client.CoreV1Api(connection)
        for name in ("haat-system", namespace):
            with contextlib.suppress(ApiException):
                await core.create_namespace({"metadata": {"name": name}})
        dynamic = await DynamicClient(connection)
        crd = await dynamic.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
        for path in sorted((ROOT / "crds").glob("*.yaml")):
            await crd.server_side_apply(
                body=yaml.safe_load(path.read_text()), field_manager="suite", force_conflicts=True
            )
        custom = client.CustomObjectsApi(connection)
        for plural in ("channels", "livestreams", "flashsales"):
            await _until_served(custom, plural)
        await dynamic.resources.invalidate_cache()
        await dynamic.resources.discover()
        yield Tenant(dynamic, namespace)


async def _until_served(custom: Any, plural: str) -> None:
    for _ in range(200):
        try:
            await custom.list_cluster_custom_object("haat.dev", "v1alpha1", plural)
        except ApiException:
            await asyncio.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{plural} are not served")


def channel(name: str = "aarong", **spec: Any) -> Obj:
    """A Channel."""
    base = {"displayName": "Aarong", "slug": name, "quota": {"maxConcurrentStreams": 100}}
    return {"apiVersion": API, "kind": "Channel", "metadata": {"name": name}, "spec": base | spec}


def stream(name: str = "launch", **spec: Any) -> Obj:
    """A LiveStream."""
    base = {"channel": {"name": "aarong"}, "title": name, "transcode": {"placement": "Dedicated"}}
    return {"apiVersion": API, "kind": "LiveStream", "metadata": {"name": name}, "spec": base | spec}


__all__ = ["API", "ApiServer", "Operator", "RedisServer", "Tenant", "channel", "running", "stream", "tenant"]
