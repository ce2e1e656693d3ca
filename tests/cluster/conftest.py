"""The cluster that the contract suite runs against: `HAAT_TEST_KUBECONFIG`, or a devcluster API server of its own.

The suite speaks only the Kubernetes API, so the same tests hold devcluster to what a real API server does.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio import client, config
from kubernetes.aio.dynamic import DynamicClient

Obj = dict[str, Any]
READY_SECONDS = 20.0


class Api:
    """Short verbs over the dynamic client; plain dicts in and out."""

    def __init__(self, dynamic: DynamicClient, namespace: str) -> None:
        self.dynamic = dynamic
        self.namespace = namespace

    async def kind(self, obj: Obj) -> Any:
        return await self.dynamic.resources.get(api_version=obj["apiVersion"], kind=obj["kind"])

    def _space(self, resource: Any, obj: Obj) -> Obj:
        return {"namespace": obj.get("metadata", {}).get("namespace", self.namespace)} if resource.namespaced else {}

    async def create(self, obj: Obj, **options: Any) -> Obj:
        resource = await self.kind(obj)
        return (await resource.create(body=obj, **self._space(resource, obj), **options)).to_dict()

    async def get(self, obj: Obj) -> Obj:
        resource = await self.kind(obj)
        return (await resource.get(name=obj["metadata"]["name"], **self._space(resource, obj))).to_dict()

    async def list(self, obj: Obj, **options: Any) -> Obj:
        resource = await self.kind(obj)
        return (await resource.get(**self._space(resource, obj), **options)).to_dict()

    async def replace(self, obj: Obj, **options: Any) -> Obj:
        resource = await self.kind(obj)
        return (await resource.replace(body=obj, **self._space(resource, obj), **options)).to_dict()

    async def delete(self, obj: Obj, **options: Any) -> Obj:
        resource = await self.kind(obj)
        name = obj["metadata"]["name"]
        return (await resource.delete(name=name, **self._space(resource, obj), **options)).to_dict()

    async def patch(self, obj: Obj, body: Any, media: str = "merge-patch", **options: Any) -> Obj:
        resource = await self.kind(obj)
        name = obj["metadata"]["name"]
        kind = f"application/{media}+json"
        space = self._space(resource, obj)
        return (await resource.patch(body=body, name=name, content_type=kind, **space, **options)).to_dict()

    async def apply(self, obj: Obj, manager: str = "suite", *, force: bool = False) -> Obj:
        resource = await self.kind(obj)
        result = await resource.server_side_apply(
            body=obj, field_manager=manager, force_conflicts=force or None, **self._space(resource, obj)
        )
        return result.to_dict()

    async def status(self, obj: Obj, body: Obj) -> Obj:
        resource = await self.kind(obj)
        name = obj["metadata"]["name"]
        sub = resource.status
        media = "application/merge-patch+json"
        return (await sub.patch(body=body, name=name, content_type=media, **self._space(resource, obj))).to_dict()


async def until(check: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Poll an async check until it gives something true."""
    deadline = time.monotonic() + seconds
    while True:
        found = await check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError("the condition did not come true in time")
        await asyncio.sleep(0.02)


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    given = os.environ.get("HAAT_TEST_KUBECONFIG")
    if given:
        yield Path(given)
        return
    folder = tmp_path_factory.mktemp("devcluster")
    path = folder / "kubeconfig"
    command = [sys.executable, "-m", "hack.devcluster.apiserver", "--state-dir", str(folder / "state"), "--port", "0"]
    with subprocess.Popen([*command, "--kubeconfig-out", str(path), "--die-with-parent"]) as process:
        deadline = time.monotonic() + READY_SECONDS
        while not path.exists():
            assert process.poll() is None, "the API server ended before it was ready"
            assert time.monotonic() < deadline, "the API server was not ready in time"
            time.sleep(0.02)
        yield path
        process.terminate()
        assert process.wait(10) == 0


@pytest.fixture(scope="session")
def is_devcluster() -> bool:
    return "HAAT_TEST_KUBECONFIG" not in os.environ


@pytest.fixture
async def api(kubeconfig: Path) -> AsyncIterator[Api]:
    """A client and a namespace of the test's own."""
    api_client = await config.new_client_from_config(str(kubeconfig))
    async with api_client:
        core = client.CoreV1Api(api_client)
        name = f"suite-{uuid.uuid4().hex[:10]}"
        await core.create_namespace({"metadata": {"name": name}})
        await until(lambda: _exists(core, name))
        yield Api(await DynamicClient(api_client), name)
        await core.delete_namespace(name)


async def _exists(core: Any, namespace: str) -> bool:
    accounts = await core.list_namespaced_service_account(namespace)
    return any(item.metadata.name == "default" for item in accounts.items)


@pytest.fixture
def kubectl(kubeconfig: Path, api: Api) -> Callable[..., subprocess.CompletedProcess[str]]:
    """kubectl in the test's namespace, run in a thread so that the test's loop goes on."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not on PATH")

    def run(*arguments: str, stdin: str = "", ok: bool = True) -> subprocess.CompletedProcess[str]:
        command = [program, "--kubeconfig", str(kubeconfig), "-n", api.namespace, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        assert not ok or done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    return run
