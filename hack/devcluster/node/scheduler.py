"""Binds pending pods to the one node when they fit, the most important first; pods of less importance give way.

Traps avoided: a manifest that stays Pending on a real cluster must not pass here because a constraint was ignored; and
a pod bound a moment ago holds its room before the watch tells so.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

from hack.devcluster.client import ApiError, Conflict, NotFound
from hack.devcluster.informer import Informer
from hack.devcluster.node import preemption
from hack.devcluster.node.context import NODE_NAME, NodeContext
from hack.devcluster.node.fit import Place, fit_reasons, holds_room
from hack.devcluster.node.predicates import node_reason
from hack.devcluster.node.preemption import priority_of
from hack.devcluster.node.quantity import QuantityError
from hack.devcluster.objects import (
    Key,
    Obj,
    is_deleting,
    key_of,
    labels_of,
    merge_condition,
    meta,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from hack.devcluster.resources import PODS

log = logging.getLogger(__name__)

_RETRY = 1.0
_REPEAT_EVENT = 60.0
DEFAULT_SCHEDULER = "default-scheduler"


class Scheduler:
    """Works off unbound pods in passes."""

    def __init__(self, context: NodeContext, *, nodes: Informer, namespaces: Informer, budgets: Informer) -> None:
        self._context = context
        self._nodes = nodes
        self._namespaces = namespaces
        self._budgets = budgets
        self._pending: set[Key] = set()
        self._assumed: dict[str, Obj] = {}
        self._told: dict[str, tuple[str, float]] = {}
        self._wake = asyncio.Event()
        context.pods.on_change(self._on_pod)
        for informer in (nodes, context.claims):
            informer.on_change(self._on_other)

    def _on_pod(self, old: Obj | None, new: Obj | None) -> None:
        pod = new or old
        if pod is None:
            return
        if new is None:
            self._pending.discard(key_of(pod))
            self._assumed.pop(uid_of(pod), None)
            self._told.pop(uid_of(pod), None)
            freed = bool(spec_of(pod).get("nodeName"))
        elif not spec_of(new).get("nodeName"):
            self._pending.add(key_of(new))
            freed = old is None or spec_of(old) != spec_of(new) or labels_of(old) != labels_of(new)
        else:
            self._assumed.pop(uid_of(new), None)
            self._pending.discard(key_of(new))
            freed = not holds_room(new) and old is not None and holds_room(old)
        if freed and self._pending:
            self._wake.set()

    def _on_other(self, old: Obj | None, new: Obj | None) -> None:
        same = old is not None and new is not None and old.get("spec") == new.get("spec")
        if self._pending and not (same and labels_of(old or {}) == labels_of(new or {})):
            self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._pass()

    async def _pass(self) -> None:
        """One look at all pending pods, by priority and age."""
        pods = [pod for key in self._pending if (pod := self._context.pods.get(key)) is not None]
        waiting = [pod for pod in pods if _is_ours(pod) and uid_of(pod) not in self._assumed]
        waiting.sort(key=lambda pod: (-priority_of(pod), str(meta(pod).get("creationTimestamp")), key_of(pod)))
        nominated: list[Obj] = []
        for pod in waiting:
            try:
                if await self._schedule(pod, nominated):
                    nominated.append(pod)
            except ApiError as error:
                log.warning("pod %s/%s was not bound: %s", *key_of(pod), error)
                self._again()
            except Exception:
                # The edge of one pod: a malformed one must not stop the others.
                log.exception("pod %s/%s could not be scheduled", *key_of(pod))

    def _again(self) -> None:
        asyncio.get_running_loop().call_later(_RETRY, self._wake.set)

    def _present(self) -> list[Obj]:
        bound = [pod for pod in self._context.pods.all() if spec_of(pod).get("nodeName") == NODE_NAME]
        known = {uid_of(pod) for pod in bound}
        return [*bound, *(pod for uid, pod in self._assumed.items() if uid not in known)]

    async def _schedule(self, pod: Obj, nominated: Sequence[Obj]) -> bool:
        """Bind, or tell why not; True when others were pushed away and their room is kept for the pod."""
        claim = self._claim_reason(pod)
        if claim:
            await self._refuse(pod, f"0/1 nodes are available: {claim}.")
            return False
        node = self._nodes.get(("", NODE_NAME))
        if node is None:
            await self._refuse(pod, "no nodes available to schedule pods")
            return False
        reason = node_reason(pod, node)
        if reason:
            tail = f"preemption: 0/1 nodes are available: 1 {preemption.NOT_HELPFUL}."
            await self._refuse(pod, f"0/1 nodes are available: 1 {reason}. {tail}")
            return False
        place = self._place(node)
        present = [pod for pod in self._present() if holds_room(pod)]
        try:
            reasons = fit_reasons(pod, place, [*present, *nominated])
        except QuantityError as error:
            await self._refuse(pod, f"0/1 nodes are available: {error}.")
            return False
        if not reasons:
            await self._bind(pod)
            return False
        return await self._make_room(pod, place, present, nominated, reasons)

    def _place(self, node: Obj) -> Place:
        def of(name: str) -> dict[str, str]:
            found = self._namespaces.get(("", name))
            return labels_of(found) if found else {"kubernetes.io/metadata.name": name}

        allocatable = status_of(node).get("allocatable") or self._context.capacity
        return Place(labels=labels_of(node), allocatable=allocatable, namespace_labels=of)

    def _claim_reason(self, pod: Obj) -> str:
        for volume in spec_of(pod).get("volumes") or []:
            name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if name and self._context.claims.get((namespace_of(pod), name)) is None:
                return f'persistentvolumeclaim "{name}" not found'
        return ""

    async def _make_room(
        self, pod: Obj, place: Place, present: Sequence[Obj], nominated: Sequence[Obj], reasons: Sequence[str]
    ) -> bool:
        text = f"0/1 nodes are available: {', '.join(f'1 {reason}' for reason in reasons)}."
        refusal = preemption.may_preempt(pod, present)
        if refusal:
            await self._refuse(pod, f"{text} preemption: {refusal}")
            return bool(status_of(pod).get("nominatedNodeName"))
        victims = preemption.choose_victims(
            pod, present, list(self._budgets.all()), lambda kept: not fit_reasons(pod, place, [*kept, *nominated])
        )
        for victim in victims:
            await self._preempt(victim, pod)
        if not victims:
            text += f" preemption: 0/1 nodes are available: 1 {preemption.NO_VICTIMS}."
        await self._refuse(pod, text, nominate=bool(victims))
        return bool(victims)

    async def _preempt(self, victim: Obj, pod: Obj) -> None:
        """Raises ApiError."""
        client = self._context.client
        conditions = merge_condition(
            status_of(victim).get("conditions") or [],
            kind="DisruptionTarget",
            status="True",
            reason="PreemptionByScheduler",
            message=f"{DEFAULT_SCHEDULER}: preempting to accommodate a higher priority pod",
            now=time.time(),
        )
        body: Obj = {"metadata": {"uid": uid_of(victim)}, "status": {"conditions": conditions}}
        try:
            self._context.pods.observe(await client.patch(PODS, key_of(victim), body, subresource="status"))
            answer = await client.delete(PODS, key_of(victim), uid=uid_of(victim))
        except (NotFound, Conflict):
            return
        if uid_of(answer) == uid_of(victim) and is_deleting(answer):
            self._context.pods.observe(answer)
        text = f"Preempted by pod {uid_of(pod)} on node {NODE_NAME}"
        self._context.events.normal(victim, PODS, "Preempted", text)

    async def _bind(self, pod: Obj) -> None:
        binding: Obj = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": key_of(pod)[1], "namespace": key_of(pod)[0], "uid": uid_of(pod)},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE_NAME},
        }
        self._assumed[uid_of(pod)] = pod
        try:
            await self._context.client.request("POST", PODS.path(*key_of(pod), "binding"), body=binding)
        except ApiError as error:
            self._assumed.pop(uid_of(pod), None)
            if isinstance(error, NotFound | Conflict):
                return
            raise
        message = f"Successfully assigned {'/'.join(key_of(pod))} to {NODE_NAME}"
        self._context.events.normal(pod, PODS, "Scheduled", message)

    async def _refuse(self, pod: Obj, message: str, *, nominate: bool = False) -> None:
        conditions = merge_condition(
            status_of(pod).get("conditions") or [],
            kind="PodScheduled",
            status="False",
            reason="Unschedulable",
            message=message,
            now=time.time(),
        )
        status: Obj = {"phase": "Pending", "conditions": conditions}
        if nominate:
            status["nominatedNodeName"] = NODE_NAME
        if any(status_of(pod).get(key) != value for key, value in status.items()):
            body: Obj = {"metadata": {"uid": uid_of(pod)}, "status": status}
            self._context.pods.observe(await self._context.client.patch(PODS, key_of(pod), body, subresource="status"))
        told, when = self._told.get(uid_of(pod), ("", 0.0))
        if told != message or time.monotonic() - when > _REPEAT_EVENT:
            self._told[uid_of(pod)] = (message, time.monotonic())
            self._context.events.warning(pod, PODS, "FailedScheduling", message)


def _is_ours(pod: Obj) -> bool:
    spec = spec_of(pod)
    if spec.get("nodeName") or is_deleting(pod) or spec.get("schedulingGates"):
        return False
    return (spec.get("schedulerName") or DEFAULT_SCHEDULER) == DEFAULT_SCHEDULER
