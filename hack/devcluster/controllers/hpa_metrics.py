"""Where the autoscaler's numbers come from: the node agents' summary and the pods' own Prometheus pages.

Trap avoided: one slow pod must not hold up the autoscaler; all pages are read side by side with a short time-out, and
a pod that does not answer has no metric.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from hack.devcluster.controllers.hpa_algorithm import MetricError, PodValue, metered_containers
from hack.devcluster.informer import Informer
from hack.devcluster.objects import (
    Obj,
    annotations_of,
    is_deleting,
    matches_selector,
    name_of,
    namespace_of,
    parse_time,
    spec_of,
    status_of,
)

log = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=2.0)
_AT_ONCE = 32
_LARGEST_PAGE = 4 * 2**20

Containers = dict[str, PodValue]
Summary = dict[tuple[str, str], dict[str, dict[str, PodValue]]]
"""(namespace, pod) -> container -> `cpu` or `memory` -> value."""


def agent_urls(nodes: Sequence[Obj]) -> list[str]:
    """Base addresses of the node agents."""
    found = []
    for node in nodes:
        port = ((status_of(node).get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
        for entry in status_of(node).get("addresses") or []:
            if entry.get("type") == "InternalIP" and port:
                found.append(f"http://{entry['address']}:{port}")
    return found


def parse_summary(body: Obj) -> Summary:
    """The agent's /stats/summary; containers without a full window are left out. Raises KeyError, TypeError."""
    result: Summary = {}
    for pod in body.get("pods") or []:
        reference = pod["podRef"]
        for container in pod.get("containers") or []:
            values: dict[str, PodValue] = {}
            cpu, memory = container.get("cpu") or {}, container.get("memory") or {}
            window = float(cpu.get("windowSeconds") or 0)
            if cpu.get("usageNanoCores") is not None:
                # The metrics pipeline rounds nanocores up to whole thousandths.
                milli = -(-int(cpu["usageNanoCores"]) // 1_000_000)
                values["cpu"] = PodValue(milli, parse_time(cpu.get("time")) or 0.0, window)
            if memory.get("workingSetBytes") is not None:
                milli = int(memory["workingSetBytes"]) * 1000
                values["memory"] = PodValue(milli, parse_time(memory.get("time")) or 0.0, window)
            owner = (str(reference["namespace"]), str(reference["name"]))
            result.setdefault(owner, {})[str(container["name"])] = values
    return result


def pod_resource(pod: Obj, resource: str, summary: Summary, container: str = "") -> PodValue | None:
    """Sum over the running containers (or one of them); None when a container has no value yet."""
    known = summary.get((namespace_of(pod), name_of(pod))) or {}
    names = [entry["name"] for entry in metered_containers(pod)]
    wanted = [container] if container else names
    found = [known.get(name, {}).get(resource) for name in wanted]
    values = [value for value in found if value is not None]
    if not values or len(values) != len(wanted):
        return None
    return PodValue(sum(v.milli for v in values), min(v.taken for v in values), max(v.window for v in values))


def page_address(pod: Obj) -> str | None:
    """The pod's Prometheus page after the prometheus.io annotations, None when it has none to read."""
    notes, address = annotations_of(pod), status_of(pod).get("podIP")
    if not address or status_of(pod).get("phase") != "Running" or is_deleting(pod):
        return None
    if notes.get("prometheus.io/scrape", "true") == "false":
        return None
    port = notes.get("prometheus.io/port") or next(
        (str(entry["containerPort"]) for c in spec_of(pod).get("containers") or [] for entry in c.get("ports") or []),
        "",
    )
    if not port.isdigit():
        return None
    path = notes.get("prometheus.io/path", "/metrics")
    return f"{notes.get('prometheus.io/scheme', 'http')}://{address}:{port}/{path.lstrip('/')}"


def gauge_sum(page: str, name: str, selector: Obj | None) -> float | None:
    """Sum over the series of a name whose labels the selector takes; None without any. Raises ValueError."""
    values = [
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name and (selector is None or matches_selector(selector, sample.labels))
    ]
    return sum(values) if values else None


class MetricSource:
    """Reads both sources; short-lived values, nothing is kept."""

    def __init__(self, nodes: Informer) -> None:
        self._nodes = nodes

    async def summary(self) -> Summary:
        """All agents' samples. Raises MetricError when none answers."""
        urls = agent_urls(list(self._nodes.all()))
        merged: Summary = {}
        trouble = "no node has an agent to ask"
        answered = False
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            for url in urls:
                try:
                    async with session.get(url + "/stats/summary") as answer:
                        body: Any = await answer.json()
                    merged.update(parse_summary(body))
                    answered = True
                except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError) as error:
                    trouble = str(error) or type(error).__name__
        if not answered:
            raise MetricError(f"unable to fetch metrics from the node agents: {trouble}")
        return merged

    async def custom(self, pods: Sequence[Obj], name: str, selector: Obj | None, now: float) -> Mapping[str, PodValue]:
        """A gauge of each pod's own page, summed over its series."""
        limit = asyncio.Semaphore(_AT_ONCE)
        # A session of its own: the API client's would show the administrator's token to the pods.
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:

            async def one(pod: Obj) -> tuple[str, PodValue | None]:
                async with limit:
                    value = await _scrape(session, pod, name, selector)
                return name_of(pod), None if value is None else PodValue(round(value * 1000), now, 0.0)

            found = await asyncio.gather(*(one(pod) for pod in pods))
        return {pod: value for pod, value in found if value is not None}


async def _scrape(session: aiohttp.ClientSession, pod: Obj, name: str, selector: Obj | None) -> float | None:
    url = page_address(pod)
    if url is None:
        return None
    page = bytearray()
    try:
        async with session.get(url) as answer:
            if answer.status != 200:
                return None
            async for chunk in answer.content.iter_chunked(65_536):
                page += chunk
                if len(page) > _LARGEST_PAGE:
                    return None
        return gauge_sum(page.decode("utf-8", "replace"), name, selector)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        log.debug("metrics of pod %s/%s were not read: %s", namespace_of(pod), name_of(pod), error)
        return None
