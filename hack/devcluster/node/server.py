"""The agent's HTTP endpoints, with the kubelet's paths: logs, metrics, summary.

Trap avoided: a follower of a quiet log must notice that its client left; every wait is short and aiohttp cancels the
handler.
"""

import contextlib
import time
from collections.abc import Iterator

from aiohttp import web

from hack.devcluster.node.agent import Agent
from hack.devcluster.node.logs import LogQuery, read_log
from hack.devcluster.node.pod import PodWorker
from hack.devcluster.node.stats import Sample
from hack.devcluster.node.streams import add_routes
from hack.devcluster.objects import format_time, name_of, namespace_of, parse_time, uid_of

AGENT: web.AppKey[Agent] = web.AppKey("agent", Agent)


def build_app(agent: Agent) -> web.Application:
    app = web.Application()
    app[AGENT] = agent
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", _logs)
    add_routes(app, lambda request: request.app[AGENT])
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/stats/summary", _summary)
    return app


async def _healthz(request: web.Request) -> web.Response:
    del request
    return web.Response(text="ok")


class QueryError(ValueError):
    """A log option that is no number."""


def log_query(options: "dict[str, str]", now: float) -> LogQuery:
    """The options of pods/log. Raises QueryError with the option's name."""

    def number(name: str) -> int | None:
        text = options.get(name)
        if not text:
            return None
        try:
            return int(text)
        except ValueError as error:
            raise QueryError(f"{name}: {text!r} is not a number") from error

    seconds = number("sinceSeconds")
    since = now - seconds if seconds is not None else parse_time(options.get("sinceTime"))
    return LogQuery(
        follow=options.get("follow") in ("true", "1"),
        tail_lines=number("tailLines"),
        since=since,
        timestamps=options.get("timestamps") in ("true", "1"),
        limit_bytes=number("limitBytes"),
    )


async def _logs(request: web.Request) -> web.StreamResponse:
    agent = request.app[AGENT]
    worker = agent.worker_of(request.match_info["namespace"], request.match_info["pod"])
    runner = worker.runner(request.match_info["container"]) if worker else None
    if worker is None or runner is None:
        return web.Response(status=404, text="container not found")
    try:
        query = log_query(dict(request.query), time.time())
    except QueryError as error:
        return web.Response(status=400, text=str(error))
    restart = runner.restarts - (1 if request.query.get("previous") in ("true", "1") else 0)
    log_file = worker.log_file(runner.name, restart)
    if restart < 0 or not log_file.path.exists():
        return web.Response(status=400, text=f'container "{runner.name}" has no log of that run')
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionResetError):
        async for block in read_log(log_file, query, still_open=lambda: agent.context.logs.is_open(log_file)):
            await response.write(block)
        await response.write_eof()
    return response


def _samples(agent: Agent) -> Iterator[tuple[PodWorker, str, Sample]]:
    for worker in agent.workers.values():
        for runner in [*worker.main, *worker.init]:
            sample = agent.sampler.samples.get(runner.process.pid) if runner.process else None
            if sample is not None:
                yield worker, runner.name, sample


async def _metrics(request: web.Request) -> web.Response:
    agent = request.app[AGENT]
    cpu, memory = (
        ["# TYPE container_cpu_usage_seconds_total counter"],
        ["# TYPE container_memory_working_set_bytes gauge"],
    )
    for worker, name, sample in _samples(agent):
        labels = f'{{container="{name}",pod="{name_of(worker.pod)}",namespace="{namespace_of(worker.pod)}"}}'
        cpu.append(f"container_cpu_usage_seconds_total{labels} {sample.usage.cpu_seconds:.2f}")
        memory.append(f"container_memory_working_set_bytes{labels} {sample.usage.memory_bytes}")
    lines = [*cpu, *memory, "# TYPE haat_node_pods gauge", f"haat_node_pods {len(agent.workers)}"]
    return web.Response(text="\n".join(lines) + "\n")


def _container_stats(sample: Sample) -> dict[str, dict[str, object]]:
    """A rate needs two samples; before the second there is none."""
    stamp = format_time(sample.taken, micro=True)
    cpu: dict[str, object] = {"time": stamp, "usageCoreNanoSeconds": int(sample.usage.cpu_seconds * 1e9)}
    if sample.window:
        cpu |= {"usageNanoCores": int(sample.cores * 1e9), "windowSeconds": round(sample.window, 3)}
    return {"cpu": cpu, "memory": {"time": stamp, "workingSetBytes": sample.usage.memory_bytes}}


async def _summary(request: web.Request) -> web.Response:
    agent = request.app[AGENT]
    pods: dict[str, dict[str, object]] = {}
    containers: dict[str, list[dict[str, object]]] = {}
    for worker, name, sample in _samples(agent):
        reference = {"name": name_of(worker.pod), "namespace": namespace_of(worker.pod), "uid": uid_of(worker.pod)}
        pods.setdefault(worker.uid, {"podRef": reference})
        containers.setdefault(worker.uid, []).append({"name": name, **_container_stats(sample)})
    body = {"node": {"nodeName": "haat"}, "pods": [{**pod, "containers": containers[uid]} for uid, pod in pods.items()]}
    return web.json_response(body)
