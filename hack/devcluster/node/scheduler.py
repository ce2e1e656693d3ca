"""Binds pending pods to the one node, when they fit.

Trap avoided: ignoring a nodeSelector or a request over capacity silently would let a manifest pass here that stays
Pending on a real cluster.
"""

import logging
import time
from collections.abc import Iterable, Mapping

from hack.devcluster.client import ApiError, Conflict, NotFound
from hack.devcluster.node.context import NODE_NAME, NodeContext
from hack.devcluster.node.quantity import QuantityError, parse_quantity
from hack.devcluster.objects import (
    Key,
    Obj,
    is_deleting,
    key_of,
    matches_labels,
    merge_condition,
    pod_active,
    spec_of,
    status_of,
    uid_of,
)
from hack.devcluster.resources import PODS
from hack.devcluster.workqueue import WorkQueue

log = logging.getLogger(__name__)

_RETRY = 5.0
DEFAULT_SCHEDULER = "default-scheduler"


def requests_of(pod: Obj) -> dict[str, float]:
    """Effective requests: sum of the containers, or the largest init container. Raises QuantityError."""
    total: dict[str, float] = {}
    for container in spec_of(pod).get("containers") or []:
        for name, value in _wanted(container).items():
            total[name] = total.get(name, 0.0) + value
    for container in spec_of(pod).get("initContainers") or []:
        for name, value in _wanted(container).items():
            if container.get("restartPolicy") == "Always":
                total[name] = total.get(name, 0.0) + value
            else:
                total[name] = max(total.get(name, 0.0), value)
    return total


def _wanted(container: Obj) -> dict[str, float]:
    resources = container.get("resources") or {}
    merged = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: parse_quantity(value) for name, value in merged.items()}


def unschedulable_reason(
    pod: Obj, *, labels: Mapping[str, str], capacity: Mapping[str, str], bound: Iterable[Obj]
) -> str:
    """Why the pod does not fit on the node; empty when it does."""
    selector = spec_of(pod).get("nodeSelector") or {}
    if not matches_labels(selector, labels):
        return "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    try:
        wanted = requests_of(pod)
        offered = {name: parse_quantity(value) for name, value in capacity.items()}
        used: dict[str, float] = {}
        for other in bound:
            if pod_active(other):
                for name, value in requests_of(other).items():
                    used[name] = used.get(name, 0.0) + value
    except QuantityError as error:
        return f"0/1 nodes are available: {error}."
    short = [
        name
        for name, value in sorted(wanted.items())
        if value > 0 and used.get(name, 0.0) + value > offered.get(name, 0.0)
    ]
    if short:
        return f"0/1 nodes are available: 1 Insufficient {', 1 Insufficient '.join(short)}."
    return ""


class Scheduler:
    """Works off unbound pods one by one."""

    def __init__(self, context: NodeContext, *, labels: Mapping[str, str]) -> None:
        self._context = context
        self._labels = labels
        self._queue: WorkQueue[Key] = WorkQueue(base_delay=0.1, max_delay=5.0)
        context.pods.on_change(self._on_pod)

    def _on_pod(self, old: Obj | None, new: Obj | None) -> None:
        pod = new or old
        if pod is not None and new is not None and not spec_of(pod).get("nodeName"):
            self._queue.add(key_of(pod))

    async def run(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._schedule(key)
                self._queue.succeeded(key)
            except ApiError as error:
                log.warning("pod %s/%s was not bound: %s", *key, error)
                self._queue.retry(key)
            except Exception:
                # The edge of one pod: a malformed one must not stop the others.
                log.exception("pod %s/%s could not be scheduled", *key)
                self._queue.retry(key)
            finally:
                self._queue.done(key)

    async def _schedule(self, key: Key) -> None:
        pod = self._context.pods.get(key)
        if pod is None or spec_of(pod).get("nodeName") or is_deleting(pod):
            return
        if spec_of(pod).get("schedulingGates"):
            return
        if (spec_of(pod).get("schedulerName") or DEFAULT_SCHEDULER) != DEFAULT_SCHEDULER:
            return
        bound = [other for other in self._context.pods.all() if spec_of(other).get("nodeName")]
        reason = unschedulable_reason(pod, labels=self._labels, capacity=self._context.capacity, bound=bound)
        if reason:
            await self._refuse(pod, reason)
            self._queue.add_after(key, _RETRY)
            return
        await self._bind(pod)

    async def _bind(self, pod: Obj) -> None:
        binding: Obj = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": key_of(pod)[1], "namespace": key_of(pod)[0], "uid": uid_of(pod)},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE_NAME},
        }
        try:
            await self._context.client.request("POST", PODS.path(*key_of(pod), "binding"), body=binding)
        except (NotFound, Conflict):
            return
        message = f"Successfully assigned {'/'.join(key_of(pod))} to {NODE_NAME}"
        self._context.events.normal(pod, PODS, "Scheduled", message)

    async def _refuse(self, pod: Obj, message: str) -> None:
        conditions = merge_condition(
            status_of(pod).get("conditions") or [],
            kind="PodScheduled",
            status="False",
            reason="Unschedulable",
            message=message,
            now=time.time(),
        )
        if conditions != (status_of(pod).get("conditions") or []):
            body: Obj = {"metadata": {"uid": uid_of(pod)}, "status": {"phase": "Pending", "conditions": conditions}}
            self._context.pods.observe(await self._context.client.patch(PODS, key_of(pod), body, subresource="status"))
        self._context.events.warning(pod, PODS, "FailedScheduling", message)
