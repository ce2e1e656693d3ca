"""The agent's streaming endpoints: exec, attach, port-forward, all over WebSocket.

Trap avoided: a container's standard input is /dev/null here, so `attach -i` cannot be served; it says so instead of
swallowing what the user types.
"""

import contextlib
import json
from collections.abc import Callable

from aiohttp import web

from hack.devcluster.node.agent import Agent
from hack.devcluster.node.container import ContainerRunner
from hack.devcluster.node.exec import ERROR, PROTOCOLS, STDOUT, ExecSession, final_status
from hack.devcluster.node.forward import ForwardSession, PortError, parse_ports
from hack.devcluster.node.logs import LogQuery, read_log
from hack.devcluster.node.pod import PodWorker

FORWARD_PROTOCOLS = ("v4.channel.k8s.io", "v5.channel.k8s.io")


def add_routes(app: web.Application, agent_of: Callable[[web.Request], Agent]) -> None:
    """Register the endpoints; GET as RFC 6455 has it."""

    def found(request: web.Request) -> tuple[PodWorker, ContainerRunner] | None:
        worker = agent_of(request).worker_of(request.match_info["namespace"], request.match_info["pod"])
        runner = worker.runner(request.match_info["container"]) if worker else None
        return (worker, runner) if worker and runner and runner.process else None

    async def execute(request: web.Request) -> web.StreamResponse:
        target = found(request)
        if target is None:
            return web.Response(status=404, text="container is not running")
        command = request.query.getall("command", [])
        if not command:
            return web.Response(status=400, text="command: at least one word is needed")
        socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=0)
        await socket.prepare(request)
        worker, runner = target
        await ExecSession(socket, worker.plan(runner.spec), command, tty=_flag(request, "tty")).run()
        await socket.close()
        return socket

    async def attach(request: web.Request) -> web.StreamResponse:
        target = found(request)
        if target is None:
            return web.Response(status=404, text="container is not running")
        if _flag(request, "stdin"):
            return web.Response(status=501, text="attach with stdin is not supported: containers read /dev/null")
        socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=0)
        await socket.prepare(request)
        await _follow(socket, agent_of(request), *target)
        await socket.close()
        return socket

    async def forward(request: web.Request) -> web.StreamResponse:
        worker = agent_of(request).worker_of(request.match_info["namespace"], request.match_info["pod"])
        if worker is None:
            return web.Response(status=404, text="pod is not running")
        try:
            ports = parse_ports([*request.query.getall("ports", []), *request.query.getall("port", [])])
        except PortError as error:
            return web.Response(status=400, text=str(error))
        if "websocket" not in request.headers.get("Upgrade", "").lower():
            return web.Response(status=501, text="port-forward over SPDY is not supported; use WebSocket channels")
        socket = web.WebSocketResponse(protocols=FORWARD_PROTOCOLS, max_msg_size=0)
        await socket.prepare(request)
        await ForwardSession(socket, worker.address, ports).run()
        await socket.close()
        return socket

    app.router.add_get("/exec/{namespace}/{pod}/{container}", execute)
    app.router.add_get("/attach/{namespace}/{pod}/{container}", attach)
    app.router.add_get("/portForward/{namespace}/{pod}", forward)


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name) in ("true", "1")


async def _follow(socket: web.WebSocketResponse, agent: Agent, worker: PodWorker, runner: ContainerRunner) -> None:
    """What the container writes from now on, until it ends or the client leaves."""
    log_file = worker.log_file(runner.name, runner.restarts)
    query = LogQuery(follow=True, tail_lines=0, since=None, timestamps=False, limit_bytes=None)
    with contextlib.suppress(ConnectionError):
        async for block in read_log(log_file, query, still_open=lambda: agent.context.logs.is_open(log_file)):
            await socket.send_bytes(bytes([STDOUT]) + block)
        await socket.send_bytes(bytes([ERROR]) + json.dumps(final_status(0)).encode())
