"""DaemonSet: one pod on the node."""

from hack.devcluster.controllers.base import Controller
from hack.devcluster.controllers.podtemplate import pod_from_template
from hack.devcluster.objects import (
    Obj,
    is_deleting,
    labels_of,
    meta,
    pod_active,
    pod_available,
    pod_ready,
    spec_of,
    stable_hash,
)
from hack.devcluster.resources import DAEMON_SETS, PODS

HASH_LABEL = "controller-revision-hash"


def plan(daemon_set: Obj, pods: list[Obj], revision: str) -> tuple[bool, list[Obj]]:
    """(create one?, pods to delete). The old pod goes before the new one comes (maxUnavailable 1)."""
    finished = [pod for pod in pods if not pod_active(pod) and not is_deleting(pod)]
    active = [pod for pod in pods if pod_active(pod)]
    on_delete = (spec_of(daemon_set).get("updateStrategy") or {}).get("type") == "OnDelete"
    old = [] if on_delete else [pod for pod in active if labels_of(pod).get(HASH_LABEL) != revision]
    surplus = [pod for pod in active if pod not in old][1:]
    return not pods, [*finished, *old, *surplus]


class DaemonSetController(Controller):
    kind = DAEMON_SETS
    workers = 1

    def subscribe(self) -> None:
        pods = self.caches.of(PODS)
        pods.on_change(self.enqueue_owner)
        pods.on_change(self.enqueue_by_selector)

    async def reconcile(self, obj: Obj) -> float | None:
        pods = await self.claim(obj, PODS)
        if is_deleting(obj):
            return None
        revision = stable_hash(spec_of(obj).get("template") or {})
        create, doomed = plan(obj, pods, revision)
        for pod in doomed:
            await self.delete(PODS, pod)
        if create:
            template = spec_of(obj).get("template") or {}
            pods.append(
                await self.create(PODS, pod_from_template(obj, DAEMON_SETS, template, labels={HASH_LABEL: revision}))
            )
        active = [pod for pod in pods if pod_active(pod)]
        now, wait = self.clock(), int(spec_of(obj).get("minReadySeconds") or 0)
        available = sum(pod_available(pod, min_ready_seconds=wait, now=now) for pod in active)
        await self.write_status(
            obj,
            {
                "observedGeneration": meta(obj).get("generation", 0),
                "desiredNumberScheduled": 1,
                "currentNumberScheduled": len(active),
                "numberMisscheduled": 0,
                "numberReady": sum(pod_ready(pod) for pod in active),
                "numberAvailable": available,
                "numberUnavailable": max(0, 1 - available),
                "updatedNumberScheduled": sum(labels_of(pod).get(HASH_LABEL) == revision for pod in active),
            },
        )
        return wait + 0.1 if wait and available < len(active) else None
