"""DaemonSet: one pod on the node, where the node takes it.

Source: pkg/controller/daemon. Trap avoided: a pod that the node's labels or taints refuse would stay Pending for ever;
a DaemonSet does not want it there at all.
"""

from collections.abc import Sequence

from hack.devcluster.controllers.base import Controller
from hack.devcluster.controllers.podtemplate import pod_from_template
from hack.devcluster.controllers.revisions import HASH_LABEL, RevisionKeeper
from hack.devcluster.node.predicates import affinity_admits, untolerated
from hack.devcluster.objects import (
    Obj,
    int_or_percent,
    is_deleting,
    key_of,
    labels_of,
    meta,
    name_of,
    pod_active,
    pod_available,
    pod_ready,
    spec_of,
    stable_hash,
    status_of,
)
from hack.devcluster.resources import CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS

_TOLERATIONS = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


def with_tolerations(template: Obj) -> Obj:
    """The template with what every DaemonSet pod tolerates."""
    spec = template.get("spec") or {}
    added = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in _TOLERATIONS]
    present = spec.get("tolerations") or []
    return {**template, "spec": {**spec, "tolerations": [*present, *(one for one in added if one not in present)]}}


def wanted_nodes(template: Obj, nodes: Sequence[Obj]) -> list[Obj]:
    """Nodes that the pods of a template may run on."""
    probe = {"spec": with_tolerations(template)["spec"]}
    return [node for node in nodes if affinity_admits(probe, node) and not untolerated(probe, node, hard=True)]


def plan(
    daemon_set: Obj, pods: Sequence[Obj], revision: str, *, wanted: int = 1, now: float = 0.0
) -> tuple[bool, list[Obj]]:
    """(create one?, pods to delete). Without surge the old pod goes before the new one comes."""
    finished = [pod for pod in pods if not pod_active(pod) and not is_deleting(pod)]
    active = [pod for pod in pods if pod_active(pod)]
    if wanted == 0:
        return False, [*finished, *active]
    strategy = spec_of(daemon_set).get("updateStrategy") or {}
    wait = int(spec_of(daemon_set).get("minReadySeconds") or 0)
    if strategy.get("type") == "OnDelete":
        return not pods, [*finished, *active[1:]]
    surge = int_or_percent((strategy.get("rollingUpdate") or {}).get("maxSurge") or 0, wanted, round_up=True)
    old = [pod for pod in active if labels_of(pod).get(HASH_LABEL) != revision]
    fresh = [pod for pod in active if pod not in old]
    if surge <= 0:
        return not pods, [*finished, *old, *fresh[1:]]
    done = any(pod_available(pod, min_ready_seconds=wait, now=now) for pod in fresh)
    # An old pod that is not available serves nobody: it need not wait.
    doomed = [pod for pod in old if done or not pod_ready(pod)] if fresh else []
    return not fresh, [*finished, *doomed, *fresh[1:]]


class DaemonSetController(Controller):
    kind = DAEMON_SETS
    workers = 1

    def subscribe(self) -> None:
        self._revisions = RevisionKeeper(self)
        self.caches.of(CONTROLLER_REVISIONS)
        pods = self.caches.of(PODS)
        pods.on_change(self.enqueue_owner)
        pods.on_change(self.enqueue_by_selector)
        self.caches.of(NODES).on_change(self._on_node)

    def _on_node(self, old: Obj | None, new: Obj | None) -> None:
        if old is not None and new is not None and labels_of(old) == labels_of(new) and spec_of(old) == spec_of(new):
            return
        for daemon_set in self.objects.all():
            self.queue.add(key_of(daemon_set))

    async def reconcile(self, obj: Obj) -> float | None:
        pods = await self.claim(obj, PODS)
        if is_deleting(obj):
            return None
        template = spec_of(obj).get("template") or {}
        revision = stable_hash(template)
        used = [str(labels_of(pod).get(HASH_LABEL)) for pod in pods]
        await self._revisions.record(obj, name=f"{name_of(obj)}-{revision}", value=revision, used=used)
        nodes = wanted_nodes(template, list(self.caches.of(NODES).all()))
        now = self.clock()
        create, doomed = plan(obj, pods, revision, wanted=min(1, len(nodes)), now=now)
        for pod in doomed:
            await self.delete(PODS, pod)
            self.events.normal(obj, DAEMON_SETS, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")
        if create:
            wanted = pod_from_template(obj, DAEMON_SETS, with_tolerations(template), labels={HASH_LABEL: revision})
            pods.append(await self.create(PODS, wanted))
            self.events.normal(obj, DAEMON_SETS, "SuccessfulCreate", f"Created pod: {name_of(wanted)}")
        fresh = [pod for pod in self.children(obj, PODS) if pod_active(pod)]
        await self.write_status(obj, daemon_status(obj, fresh, revision, wanted=min(1, len(nodes)), now=now))
        wait = int(spec_of(obj).get("minReadySeconds") or 0)
        settled = status_of(obj).get("numberAvailable") == len(fresh)
        return wait + 0.1 if wait and not settled else None


def daemon_status(daemon_set: Obj, active: Sequence[Obj], revision: str, *, wanted: int, now: float) -> Obj:
    wait = int(spec_of(daemon_set).get("minReadySeconds") or 0)
    available = min(wanted, sum(pod_available(pod, min_ready_seconds=wait, now=now) for pod in active))
    present = min(1, len(active))
    return {
        "observedGeneration": meta(daemon_set).get("generation", 0),
        "desiredNumberScheduled": wanted,
        "currentNumberScheduled": min(present, wanted),
        "numberMisscheduled": present if not wanted else 0,
        "numberReady": min(wanted, sum(pod_ready(pod) for pod in active)),
        "numberAvailable": available or None,
        "numberUnavailable": (wanted - available) or None,
        "updatedNumberScheduled": min(1, sum(labels_of(pod).get(HASH_LABEL) == revision for pod in active)) or None,
    }
