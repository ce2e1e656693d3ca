"""Reading the agents' summary and Prometheus pages."""

from typing import Any

import pytest
from aiohttp import web

from hack.devcluster.controllers.hpa_metrics import (
    MetricSource,
    agent_urls,
    gauge_sum,
    page_address,
    parse_summary,
    pod_resource,
)
from hack.devcluster.objects import Obj

PAGE = '# TYPE queue gauge\nqueue{part="a"} 2.5\nqueue{part="b"} 1\nqueue_total 9\n'


@pytest.mark.parametrize(
    ("name", "selector", "value"),
    [
        ("queue", None, 3.5),
        ("queue", {"matchLabels": {"part": "a"}}, 2.5),
        ("queue", {"matchLabels": {"part": "z"}}, None),
        ("queue_total", None, 9.0),
        ("absent", None, None),
    ],
)
def test_gauges(name: str, selector: Obj | None, value: float | None) -> None:
    assert gauge_sum(PAGE, name, selector) == value


def test_a_page_that_is_no_page() -> None:
    with pytest.raises(ValueError):
        gauge_sum("<html>\n{", "queue", None)


def pod(notes: Obj | None = None, **status: Any) -> Obj:
    return {
        "metadata": {"name": "p", "namespace": "n", "annotations": notes or {}},
        "spec": {"containers": [{"name": "a", "ports": [{"containerPort": 8080}]}, {"name": "b"}]},
        "status": {"phase": "Running", "podIP": "127.64.0.9", **status},
    }


@pytest.mark.parametrize(
    ("notes", "status", "address"),
    [
        ({}, {}, "http://127.64.0.9:8080/metrics"),
        ({"prometheus.io/port": "9100", "prometheus.io/path": "m"}, {}, "http://127.64.0.9:9100/m"),
        ({"prometheus.io/scrape": "false"}, {}, None),
        ({"prometheus.io/port": "http"}, {}, None),
        ({}, {"phase": "Pending"}, None),
    ],
)
def test_where_the_page_is(notes: Obj, status: Obj, address: str | None) -> None:
    assert page_address(pod(notes, **status)) == address


def stats(name: str, nano: int | None, memory: int) -> Obj:
    cpu: Obj = {"time": "2026-01-01T00:00:00Z"}
    if nano is not None:
        cpu |= {"usageNanoCores": nano, "windowSeconds": 5.0}
    return {"name": name, "cpu": cpu, "memory": {"time": "2026-01-01T00:00:00Z", "workingSetBytes": memory}}


def test_a_pod_is_the_sum_of_its_containers() -> None:
    body = {
        "pods": [
            {"podRef": {"namespace": "n", "name": "p"}, "containers": [stats("a", 1_500_001, 10), stats("b", 0, 5)]}
        ]
    }
    summary = parse_summary(body)
    cpu, memory = pod_resource(pod(), "cpu", summary), pod_resource(pod(), "memory", summary)
    assert cpu is not None
    assert (cpu.milli, cpu.window) == (2, 5.0)
    assert memory is not None
    assert memory.milli == 15_000
    only = pod_resource(pod(), "memory", summary, "b")
    assert only is not None
    assert only.milli == 5_000


def test_a_container_without_a_rate_leaves_the_pod_without() -> None:
    body = {
        "pods": [{"podRef": {"namespace": "n", "name": "p"}, "containers": [stats("a", 1, 1), stats("b", None, 1)]}]
    }
    assert pod_resource(pod(), "cpu", parse_summary(body)) is None
    assert pod_resource(pod(), "memory", {}) is None


def test_agents() -> None:
    node = {
        "status": {
            "addresses": [{"type": "Hostname", "address": "h"}, {"type": "InternalIP", "address": "127.64.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        }
    }
    assert agent_urls([node, {}]) == ["http://127.64.0.1:10250"]


async def test_pages_are_read_without_credentials() -> None:
    seen: list[str | None] = []

    async def page(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(text=PAGE)

    app = web.Application()
    app.router.add_get("/metrics", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        notes = {"prometheus.io/port": str(runner.addresses[0][1])}
        good = pod(notes, podIP="127.0.0.1")
        bad = {**pod({"prometheus.io/port": "1"}, podIP="127.0.0.1"), "metadata": {"name": "bad"}}
        found = await MetricSource(None).custom([good, bad], "queue", None, 5.0)  # type: ignore[arg-type]
    finally:
        await runner.cleanup()
    assert {name: value.milli for name, value in found.items()} == {"p": 3_500}
    assert seen == [None]
