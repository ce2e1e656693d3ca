"""Reading and waiting in one namespace."""

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hack.devcluster.client import ApiClient, NotFound
from hack.devcluster.objects import Obj, condition_true, status_of
from hack.devcluster.resources import EVENTS, PODS, Resource

PYTHON = "python:3.12-alpine"
PATIENCE = 40.0

T = TypeVar("T")

SERVER = """
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = (os.environ["POD_NAME"] + " " + os.environ.get("COLOUR", "") + " " + self.path).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer((os.environ["POD_IP"], 8080), Handler).serve_forever()
"""


async def eventually(get: Callable[[], Awaitable[T | None]], what: str, *, patience: float = PATIENCE) -> T:
    """The first result that is neither None nor False."""
    end = time.monotonic() + patience
    while True:
        found = await get()
        if found is not None and found is not False:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not seen within {patience:g}s: {what}")
        await asyncio.sleep(0.05)


def container(*command: str, **fields: Any) -> Obj:
    return {"name": "main", "image": PYTHON, "command": list(command), **fields}


def script(code: str, **fields: Any) -> Obj:
    return container("python", "-u", "-c", code, **fields)


def downward() -> list[Obj]:
    return [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for name, path in (("POD_IP", "status.podIP"), ("POD_NAME", "metadata.name"))
    ]


def server(**fields: Any) -> Obj:
    """A container with an HTTP server that tells its pod's name."""
    env = [*downward(), *fields.pop("env", [])]
    probe = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}
    ports = [{"name": "http", "containerPort": 8080}]
    return script(SERVER, env=env, ports=ports, readinessProbe=probe, **fields)


def pod(name: str, *containers: Obj, **spec: Any) -> Obj:
    body = {"containers": list(containers), "terminationGracePeriodSeconds": 5, **spec}
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": body}


def template(app: str, *containers: Obj, **spec: Any) -> Obj:
    return {"metadata": {"labels": {"app": app}}, "spec": pod("", *containers, **spec)["spec"]}


@dataclass(frozen=True, slots=True)
class Cluster:
    kubeconfig: Path
    ingress: str
    """Base URL, empty when the cluster has no Ingress this machine can reach."""
    nodes: "list[subprocess.Popen[bytes]]"
    """The node agent's process, last one first to be used; empty on a cluster of somebody else."""
    folder: Path | None

    @property
    def node_process(self) -> "subprocess.Popen[bytes] | None":
        return self.nodes[-1] if self.nodes else None

    def take_node(self) -> "subprocess.Popen[bytes]":
        return self.nodes.pop()


class Space:
    """One namespace."""

    def __init__(self, client: ApiClient, name: str) -> None:
        self.client = client
        self.name = name

    async def create(self, resource: Resource, obj: Obj) -> Obj:
        obj.setdefault("metadata", {})["namespace"] = self.name
        return await self.client.create(resource, obj)

    async def get(self, resource: Resource, name: str) -> Obj | None:
        try:
            return await self.client.get(resource, self.name, name)
        except NotFound:
            return None

    async def pods(self, selector: str = "") -> list[Obj]:
        answer = await self.client.list(PODS, self.name, params={"labelSelector": selector} if selector else None)
        found: list[Obj] = answer["items"]
        return found

    async def until(self, resource: Resource, name: str, test: Callable[[Obj], bool], what: str) -> Obj:
        async def look() -> Obj | None:
            found = await self.get(resource, name)
            return found if found is not None and test(found) else None

        return await eventually(look, f"{resource.kind} {name}: {what}")

    async def until_gone(self, resource: Resource, name: str) -> None:
        async def look() -> bool:
            return await self.get(resource, name) is None

        await eventually(look, f"{resource.kind} {name} is gone")

    async def until_ready(self, name: str) -> Obj:
        return await self.until(PODS, name, lambda found: condition_true(found, "Ready"), "ready")

    async def until_phase(self, name: str, phase: str) -> Obj:
        return await self.until(PODS, name, lambda found: status_of(found).get("phase") == phase, phase)

    async def logs(self, name: str, **options: str) -> str:
        """Text of pods/log; not JSON, hence not through request()."""
        url = self.client.server + PODS.path(self.name, name, "log")
        async with self.client.session.get(url, params=options) as answer:
            text = await answer.text()
            assert answer.status == 200, text
            return text

    async def reasons(self, name: str) -> set[str]:
        """Reasons of the events about an object."""
        answer = await self.client.list(EVENTS, self.name)
        return {entry["reason"] for entry in answer["items"] if entry["involvedObject"]["name"] == name}

    async def until_event(self, name: str, reasons: Sequence[str]) -> None:
        async def look() -> bool:
            return set(reasons) <= await self.reasons(name)

        await eventually(look, f"events {reasons} of {name}")
