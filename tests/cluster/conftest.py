"""The cluster that the contract suite runs against: `HAAT_TEST_KUBECONFIG`, or a devcluster API server of its own.

The suite speaks only the Kubernetes API, so the same tests hold devcluster to what a real API server does.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
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
        found: Obj = (await resource.create(body=obj, **self._space(resource, obj), **options)).to_dict()
        return found

    async def get(self, obj: Obj) -> Obj:
        resource = await self.kind(obj)
        found: Obj = (await resource.get(name=obj["metadata"]["name"], **self._space(resource, obj))).to_dict()
        return found

    async def list(self, obj: Obj, **options: Any) -> Obj:
        resource = await self.kind(obj)
        found: Obj = (await resource.get(**self._space(resource, obj), **options)).to_dict()
        return found

    async def replace(self, obj: Obj, **options: Any) -> Obj:
        resource = await self.kind(obj)
        found: Obj = (await resource.replace(body=obj, **self._space(resource, obj), **options)).to_dict()
        return found

    async def delete(self, obj: Obj, **options: Any) -> Obj:
        resource = await self.kind(obj)
        name = obj["metadata"]["name"]
        found: Obj = (await resource.delete(name=name, **self._space(resource, obj), **options)).to_dict()
        return found

    async def patch(self, obj: Obj, body: Any, media: str = "merge-patch", **options: Any) -> Obj:
        resource = await self.kind(obj)
        name = obj["metadata"]["name"]
        kind = f"application/{media}+json"
        space = self._space(resource, obj)
        found: Obj = (await resource.patch(body=body, name=name, content_type=kind, **space, **options)).to_dict()
        return found

    async def apply(self, obj: Obj, manager: str = "suite", *, force: bool = False) -> Obj:
        resource = await self.kind(obj)
        result = await resource.server_side_apply(
            body=obj, field_manager=manager, force_conflicts=force or None, **self._space(resource, obj)
        )
        found: Obj = result.to_dict()
        return found

    async def status(self, obj: Obj, body: Obj) -> Obj:
        resource = await self.kind(obj)
        name = obj["metadata"]["name"]
        sub = resource.status
        media = "application/merge-patch+json"
        found: Obj = (await sub.patch(body=body, name=name, content_type=media, **self._space(resource, obj))).to_dict()
        return found


@dataclass(frozen=True)
class Reply:
    """An answer as it came: status, decoded body, headers."""

    status: int
    body: Any
    warnings: list[str]

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))

    @property
    def causes(self) -> list[tuple[str, str, str]]:
        """(field, reason, message) of every cause."""
        found = (self.body.get("details") or {}).get("causes") or []
        return [(item.get("field", ""), item.get("reason", ""), item.get("message", "")) for item in found]


class Raw:
    """Plain HTTP, for what a client library hides: media types, bodies that are no object, headers."""

    def __init__(self, api: Api, session: aiohttp.ClientSession) -> None:
        own = api.dynamic.client.configuration
        self.host, self.space = own.host, f"/api/v1/namespaces/{api.namespace}"
        self._token = own.api_key.get("BearerToken", own.api_key.get("authorization", ""))
        self._session = session

    async def __call__(
        self, method: str, path: str, body: Any = None, *, media: str = "application/json", **headers: str
    ) -> Reply:
        head = {"Authorization": self._token, "Accept": "application/json"}
        head |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, str | None) else json.dumps(body)
        if data is not None:
            head["Content-Type"] = media
        async with self._session.request(method, self.host + path, data=data, headers=head) as answer:
            text = await answer.text()
            warnings = [item.removeprefix('299 - "').removesuffix('"') for item in answer.headers.getall("Warning", [])]
            return Reply(answer.status, json.loads(text) if text.startswith("{") else text, warnings)


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
async def raw(api: Api) -> AsyncIterator[Raw]:
    """Plain requests with the credentials of the kubeconfig."""
    trust = ssl.create_default_context(cafile=api.dynamic.client.configuration.ssl_ca_cert)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
        yield Raw(api, session)


@pytest.fixture
async def needs_nodes(api: Api) -> None:
    """Skip where no node would run a pod."""
    nodes = await client.CoreV1Api(api.dynamic.client).list_node()
    ready = (item for node in nodes.items for item in node.status.conditions or [] if item.type == "Ready")
    if not any(item.status == "True" for item in ready):
        pytest.skip("the cluster has no Ready node, so no pod would run")


@pytest.fixture
def kubectl(kubeconfig: Path, api: Api, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """kubectl in the test's namespace; its cache is the test's own, since ports are used again."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not on PATH")

    def run(*arguments: str, stdin: str = "", ok: bool = True) -> subprocess.CompletedProcess[str]:
        places = ["--kubeconfig", str(kubeconfig), "--cache-dir", str(tmp_path / "cache")]
        command = [program, *places, "-n", api.namespace, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        assert not ok or done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    return run
