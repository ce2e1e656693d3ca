"""`metrics.k8s.io/v1beta1`: what nodes and pods use now, asked of the node agents when a client asks.

Upstream serves this group from a separate metrics server; here it is part of the API server and reads the agents'
`/stats/summary`. Without an agent it answers 503, which `kubectl top` shows as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.accept import Form
from hack.devcluster.apiserver.calls import Call
from hack.devcluster.apiserver.crds import CrdVersion
from hack.devcluster.apiserver.http import answer
from hack.devcluster.apiserver.kinds import Resource
from hack.devcluster.apiserver.listing import scope_of
from hack.devcluster.apiserver.rest import Obj, Rest
from hack.devcluster.apiserver.schema import Node
from hack.devcluster.apiserver.store import Stored
from hack.devcluster.apiserver.structural import node_of

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
WINDOW = "10s"
ASK_SECONDS = 5.0
_FREE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def resources(meta: Node) -> list[Resource]:
    """The two kinds; they are never stored."""
    raw = {**_FREE, "properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}}
    crd = CrdVersion(
        node=node_of(raw, meta=meta, root=True),
        raw_schema=raw,
        columns=(),
        selectable=(),
        storage_api_version=f"{GROUP}/{VERSION}",
        rules=False,
    )
    common: dict[str, Any] = {"status": False, "verbs": ("get", "list"), "crd": crd}
    return [
        Resource(GROUP, VERSION, "NodeMetrics", "nodes", namespaced=False, **common),
        Resource(GROUP, VERSION, "PodMetrics", "pods", **common),
    ]


def agent_of(node: Stored) -> str:
    """Base URL of a node's agent; empty when the node names none."""
    status = node.load().get("status") or {}
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
    addresses = status.get("addresses") or ()
    address = next((item["address"] for item in addresses if item.get("type") == "InternalIP"), "")
    return f"http://{address}:{port}" if address and port else ""


class Metrics:
    """Handler of the group."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        rest.registry.add(resources(rest.registry.types.node("V1ObjectMeta")))

    async def handle(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        """GET of one or of all."""
        if request.method != "GET" or call.subresource:
            raise err.method_not_allowed()
        summaries = await self._summaries()
        if call.resource.plural == "nodes":
            items = [_node_metrics(node, summary) for node, summary in summaries]
        else:
            items = list(self._pods(call, [summary for _, summary in summaries]))
        scope = scope_of(call.resource, call.namespace, call.query)
        if scope.labels is not None:
            labels = scope.labels
            items = [item for item in items if labels(item["metadata"].get("labels") or {})]
        if call.name:
            found = next((item for item in items if item["metadata"]["name"] == call.name), None)
            if found is None:
                raise err.not_found(call.resource.plural + "." + GROUP, "", call.name)
            body: Obj = found
        else:
            kind = call.resource.kind + "List"
            body = {"kind": kind, "apiVersion": f"{GROUP}/{VERSION}", "metadata": {}, "items": items}
        return answer(msgspec.json.encode(body), Form(yaml=form.yaml))

    async def _summaries(self) -> list[tuple[Stored, Obj]]:
        nodes = [(node, agent_of(node)) for node in self._rest.store.collection("nodes").scan()]
        asked = [(node, url) for node, url in nodes if url]
        timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            answers = await asyncio.gather(*(_ask(session, url) for _, url in asked))
        found = [(node, answer) for (node, _), answer in zip(asked, answers, strict=True) if answer is not None]
        if not found:
            why = "no node agent answers, so there are no metrics"
            raise err.ApiError(
                503, "ServiceUnavailable", f"the server is currently unable to handle the request: {why}"
            )
        return found

    def _pods(self, call: Call, summaries: Iterable[Obj]) -> Iterator[Obj]:
        pods = self._rest.store.collection("pods")
        for summary in summaries:
            for part in summary.get("pods") or ():
                reference = part.get("podRef") or {}
                namespace, name = reference.get("namespace", ""), reference.get("name", "")
                stored = pods.get(namespace, name)
                if stored is None or (call.namespace and namespace != call.namespace):
                    continue
                containers = [_container(item) for item in part.get("containers") or ()]
                stamp = next((item["cpu"].get("time") for item in part.get("containers") or ()), self._rest.stamp())
                meta: Obj = {"name": name, "namespace": namespace, "creationTimestamp": self._rest.stamp()}
                if stored.labels:
                    meta["labels"] = dict(stored.labels)
                head = {"kind": "PodMetrics", "apiVersion": f"{GROUP}/{VERSION}", "metadata": meta}
                yield {**head, "timestamp": stamp, "window": WINDOW, "containers": containers}


async def _ask(session: aiohttp.ClientSession, url: str) -> Obj | None:
    try:
        async with session.get(f"{url}/stats/summary") as response:
            return dict(await response.json()) if response.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None


def _usage(cores: int, memory: int) -> dict[str, str]:
    return {"cpu": f"{cores}n", "memory": f"{memory // 1024}Ki"}


def _container(item: Obj) -> Obj:
    cores = (item.get("cpu") or {}).get("usageNanoCores", 0)
    return {"name": item.get("name", ""), "usage": _usage(cores, (item.get("memory") or {}).get("workingSetBytes", 0))}


def _node_metrics(node: Stored, summary: Obj) -> Obj:
    """A node's usage: its own figures where the agent gives them, else the sum of its pods."""
    own = summary.get("node") or {}
    parts = [item for pod in summary.get("pods") or () for item in pod.get("containers") or ()]
    cores = (own.get("cpu") or {}).get("usageNanoCores") or sum(
        (item.get("cpu") or {}).get("usageNanoCores", 0) for item in parts
    )
    memory = (own.get("memory") or {}).get("workingSetBytes") or sum(
        (item.get("memory") or {}).get("workingSetBytes", 0) for item in parts
    )
    stamp = next((item["cpu"]["time"] for item in parts if (item.get("cpu") or {}).get("time")), None)
    meta: Obj = {"name": node.name, "labels": dict(node.labels)}
    head = {"kind": "NodeMetrics", "apiVersion": f"{GROUP}/{VERSION}", "metadata": meta}
    return {**head, "timestamp": stamp, "window": WINDOW, "usage": _usage(cores, memory)}
