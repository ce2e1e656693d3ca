"""ReplicaSet: as many active pods as wanted.

Source of the deletion order: pkg/controller/controller_utils.go, ActivePodsWithRanks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hack.devcluster.client import ApiError
from hack.devcluster.controllers.base import Controller
from hack.devcluster.controllers.podtemplate import pod_from_template
from hack.devcluster.objects import (
    Obj,
    annotations_of,
    condition,
    is_deleting,
    labels_of,
    matches_labels,
    merge_condition,
    meta,
    parse_time,
    pod_active,
    pod_available,
    pod_ready,
    spec_of,
    status_of,
)
from hack.devcluster.resources import PODS, REPLICA_SETS

_BURST = 50
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


@dataclass(frozen=True, slots=True)
class ReplicaPlan:
    """How many pods to create, which to delete."""

    create: int
    delete: tuple[Obj, ...]


def deletion_rank(pod: Obj) -> tuple[bool, int, bool, int, float, int, float]:
    """Sort key: the pod to delete first comes first."""
    phase = status_of(pod).get("phase")
    ready = pod_ready(pod)
    since = parse_time((condition(pod, "Ready") or {}).get("lastTransitionTime")) or 0.0
    restarts = sum(int(entry.get("restartCount") or 0) for entry in status_of(pod).get("containerStatuses") or [])
    created = parse_time(meta(pod).get("creationTimestamp")) or 0.0
    return (
        bool(spec_of(pod).get("nodeName")),
        {"Pending": 0, "Unknown": 1}.get(str(phase), 2),
        ready,
        _cost(pod),
        -since if ready else 0.0,
        -restarts,
        -created,
    )


def _cost(pod: Obj) -> int:
    try:
        return int(annotations_of(pod).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def plan(replicas: int, pods: Sequence[Obj]) -> ReplicaPlan:
    """Compare wanted with active pods."""
    active = [pod for pod in pods if pod_active(pod)]
    surplus = len(active) - replicas
    if surplus > 0:
        return ReplicaPlan(0, tuple(sorted(active, key=deletion_rank)[: min(surplus, _BURST)]))
    return ReplicaPlan(min(-surplus, _BURST), ())


def replica_status(replica_set: Obj, pods: Sequence[Obj], now: float) -> Obj:
    """Status counts."""
    active = [pod for pod in pods if pod_active(pod)]
    wait = int(spec_of(replica_set).get("minReadySeconds") or 0)
    wanted = (spec_of(replica_set).get("template") or {}).get("metadata", {}).get("labels") or {}
    return {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(matches_labels(wanted, labels_of(pod)) for pod in active),
        "readyReplicas": sum(pod_ready(pod) for pod in active),
        "availableReplicas": sum(pod_available(pod, min_ready_seconds=wait, now=now) for pod in active),
        "terminatingReplicas": sum(
            is_deleting(pod) and status_of(pod).get("phase") not in ("Succeeded", "Failed") for pod in pods
        ),
        "observedGeneration": meta(replica_set).get("generation", 0),
    }


class ReplicaSetController(Controller):
    kind = REPLICA_SETS
    workers = 4

    def subscribe(self) -> None:
        pods = self.caches.of(PODS)
        pods.on_change(self.enqueue_owner)
        pods.on_change(self.enqueue_by_selector)

    async def reconcile(self, obj: Obj) -> float | None:
        pods = await self.claim(obj, PODS)
        replicas = spec_of(obj).get("replicas")
        wanted = plan(1 if replicas is None else int(replicas), pods)
        trouble: ApiError | None = None
        if not is_deleting(obj):
            try:
                await self._carry_out(obj, pods, wanted)
            except ApiError as error:
                trouble = error
        fresh = [self.caches.of(PODS).get((meta(pod)["namespace"], meta(pod)["name"])) for pod in pods]
        now = self.clock()
        status = replica_status(obj, [pod for pod in fresh if pod is not None], now)
        status["conditions"] = failure_condition(obj, trouble.message if trouble else "", wanted, now)
        await self.write_status(obj, status)
        if trouble is not None:
            raise trouble
        wait = float(spec_of(obj).get("minReadySeconds") or 0)
        return wait + 0.1 if wait and status["availableReplicas"] < status["readyReplicas"] else None

    async def _carry_out(self, obj: Obj, pods: list[Obj], wanted: ReplicaPlan) -> None:
        """Raises ApiError; what it did so far is in `pods`."""
        template = spec_of(obj).get("template") or {}
        for _ in range(wanted.create):
            try:
                pod = await self.create(PODS, pod_from_template(obj, REPLICA_SETS, template))
            except ApiError as error:
                self.events.warning(obj, REPLICA_SETS, "FailedCreate", f"Error creating: {error.message}")
                raise
            self.events.normal(obj, REPLICA_SETS, "SuccessfulCreate", f"Created pod: {meta(pod)['name']}")
            pods.append(pod)
        for pod in wanted.delete:
            await self.delete(PODS, pod)
            self.events.normal(obj, REPLICA_SETS, "SuccessfulDelete", f"Deleted pod: {meta(pod)['name']}")


def failure_condition(replica_set: Obj, message: str, wanted: ReplicaPlan, now: float) -> list[Obj] | None:
    """Conditions with ReplicaFailure set or taken off; None where there are none and never were."""
    conditions: list[Obj] = status_of(replica_set).get("conditions") or []
    if not message:
        left = [entry for entry in conditions if entry.get("type") != "ReplicaFailure"]
        return left or ([] if conditions else None)
    reason = "FailedCreate" if wanted.create else "FailedDelete"
    return merge_condition(conditions, kind="ReplicaFailure", status="True", reason=reason, message=message, now=now)
