"""`log`, `exec`, `attach` and `portforward` of pods, passed through to the node agent that runs them.

The agent is found by the pod's node: `status.addresses[InternalIP]` and
`status.daemonEndpoints.kubeletEndpoint.Port`. Only WebSocket upgrades are served (kubectl's default since 1.31); the
older SPDY upgrade is answered with a sentence. `kubectl port-forward` tunnels SPDY through its WebSocket, which is not
served; the channel frames of other clients are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from urllib.parse import quote

import aiohttp
from aiohttp import web

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.accept import Form
from hack.devcluster.apiserver.calls import Call
from hack.devcluster.apiserver.handlers import Handlers
from hack.devcluster.apiserver.rest import Obj, Rest

SPDY_TUNNEL = "SPDY/3.1+portforward.k8s.io"
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io")
_LOG_OPTIONS = ("follow", "tailLines", "sinceSeconds", "sinceTime", "timestamps", "limitBytes", "previous")
_CONNECT = aiohttp.ClientTimeout(total=None, sock_connect=5)


class AgentProxy:
    """Handlers of `pods/log`, `pods/exec`, `pods/attach` and `pods/portforward`."""

    def __init__(self, handlers: Handlers) -> None:
        self._rest: Rest = handlers.rest
        self._session: aiohttp.ClientSession | None = None
        handlers.subresources.update(
            {"log": self.log, "exec": self.exec, "attach": self.attach, "portforward": self.forward}
        )

    async def close(self) -> None:
        """Close connections to agents."""
        if self._session is not None:
            await self._session.close()

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_CONNECT, connector=aiohttp.TCPConnector(limit=0))
        return self._session

    def _pod(self, call: Call) -> tuple[Obj, str]:
        """(pod, container asked for or the only one)."""
        pod = self._rest.find(call.resource, call.namespace, call.name).load()
        spec = pod.get("spec") or {}
        names = [item["name"] for item in spec.get("containers") or ()]
        every = names + [item["name"] for item in spec.get("initContainers") or ()]
        container = call.query.get("container", "")
        annotated = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container", "")
        if not container and len(names) > 1 and annotated not in names:
            raise err.bad_request(
                f"a container name must be specified for pod {call.name}, choose one of: [{' '.join(names)}]"
            )
        container = container or annotated or names[0]
        if container not in every:
            raise err.bad_request(f"container {container} is not valid for pod {call.name}")
        return pod, container

    def _agent(self, pod: Obj) -> str:
        """Base URL of the agent. 400 while the pod has no node, 502 when the node names no agent."""
        name = pod["metadata"]["name"]
        node_name = (pod.get("spec") or {}).get("nodeName")
        if not node_name:
            raise err.bad_request(f"pod {name} does not have a host assigned")
        node = self._rest.store.collection("nodes").get("", node_name)
        status = (node.load().get("status") or {}) if node is not None else {}
        port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
        address = next(
            (item["address"] for item in status.get("addresses") or () if item.get("type") == "InternalIP"), ""
        )
        if not port or not address:
            raise err.ApiError(502, "BadGateway", f"node {node_name} has no agent to ask")
        return f"http://{address}:{port}"

    def _url(self, call: Call, verb: str) -> str:
        pod, container = self._pod(call)
        return f"{self._agent(pod)}/{verb}/{quote(call.namespace)}/{quote(call.name)}/{quote(container)}"

    async def log(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        """Stream a container's log."""
        url = self._url(call, "containerLogs")
        params = log_query(call.query)
        try:
            async with self._http().get(url, params=params) as upstream:
                if upstream.status >= 400:
                    raise err.ApiError(upstream.status, "BadRequest", (await upstream.text())[:2000])
                response = web.StreamResponse(headers={"Content-Type": "text/plain"})
                response.enable_chunked_encoding()
                await response.prepare(request)
                async for chunk in upstream.content.iter_any():
                    await response.write(chunk)
                return response
        except (aiohttp.ClientConnectionError, TimeoutError) as problem:
            raise err.ApiError(502, "BadGateway", f"the node's agent does not answer: {problem}") from problem

    async def exec(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        """Run a command in a container."""
        url = self._url(call, "exec")
        if not _is_websocket(request):
            raise err.bad_request("exec needs a WebSocket upgrade with a channel.k8s.io protocol; SPDY is not served")
        return await self._join(request, url)

    async def attach(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        """Follow what a container writes. 501 for its standard input, which the agent does not keep open."""
        url = self._url(call, "attach")
        if call.query.get("stdin") in ("1", "true"):
            raise err.not_implemented("pods/attach with stdin: containers read /dev/null")
        if not _is_websocket(request):
            raise err.bad_request("attach needs a WebSocket upgrade with a channel.k8s.io protocol; SPDY is not served")
        return await self._join(request, url)

    async def forward(self, request: web.BaseRequest, call: Call, form: Form) -> web.StreamResponse:
        """Connect to ports of a pod. 501 for SPDY, also inside a WebSocket, as kubectl speaks it."""
        if not _is_websocket(request) or SPDY_TUNNEL in _offered(request):
            raise err.not_implemented("pods/portforward over SPDY; use a WebSocket with a channel.k8s.io protocol")
        pod = self._rest.find(call.resource, call.namespace, call.name).load()
        if not request.query.getall("ports", []):
            raise err.bad_request('query parameter "ports" is required')
        return await self._join(request, f"{self._agent(pod)}/portForward/{quote(call.namespace)}/{quote(call.name)}")

    async def _join(self, request: web.BaseRequest, url: str) -> web.StreamResponse:
        """Join the client's WebSocket with one to the agent."""
        offered = _offered(request)
        chosen = next((name for name in PROTOCOLS if name in offered), None)
        if chosen is None:
            raise err.bad_request(f"none of the WebSocket protocols {offered} is served")
        params = [(key, value) for key, value in request.query.items() if key != "container"]
        agent = await self._connect(url, params, chosen)
        client = web.WebSocketResponse(protocols=(chosen,), max_msg_size=0)
        try:
            await client.prepare(request)
            await _pump_both(client, agent)
        finally:
            await agent.close()
        return client

    async def _connect(self, url: str, params: list[tuple[str, str]], protocol: str) -> aiohttp.ClientWebSocketResponse:
        """GET as RFC 6455 has it, then POST for an agent that takes only that."""
        for method in ("GET", "POST"):
            try:
                return await self._http().ws_connect(
                    url, method=method, params=params, protocols=(protocol,), max_msg_size=0
                )
            except aiohttp.WSServerHandshakeError as problem:
                if method == "GET" and problem.status in (404, 405):
                    continue
                raise err.ApiError(
                    502, "BadGateway", f"the node's agent refused the command: {problem.message}"
                ) from problem
            except (aiohttp.ClientError, TimeoutError) as problem:
                raise err.ApiError(502, "BadGateway", f"the node's agent does not answer: {problem}") from problem
        raise err.ApiError(502, "BadGateway", "the node's agent serves no such stream")


def _is_websocket(request: web.BaseRequest) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def _offered(request: web.BaseRequest) -> list[str]:
    """The WebSocket protocols that the client speaks."""
    return [item.strip() for item in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]


Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _pump_both(client: web.WebSocketResponse, agent: aiohttp.ClientWebSocketResponse) -> None:
    up = asyncio.create_task(_pump(client, agent))
    down = asyncio.create_task(_pump(agent, client))
    _, pending = await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
    if up.done() and not down.done():
        await agent.close()
    for task in pending:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await task
    await client.close()


async def _pump(source: Socket, sink: Socket) -> None:
    async for message in source:
        if message.type == aiohttp.WSMsgType.BINARY:
            await sink.send_bytes(message.data)
        elif message.type == aiohttp.WSMsgType.TEXT:
            await sink.send_str(message.data)


def log_query(query: Mapping[str, str]) -> dict[str, str]:
    """The options of a log request that an agent understands."""
    return {name: query[name] for name in _LOG_OPTIONS if name in query}
