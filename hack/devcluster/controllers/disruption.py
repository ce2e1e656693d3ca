"""PodDisruptionBudget status: how many pods may be evicted now.

Source: pkg/controller/disruption. Traps avoided: a percentage of a budget without a controller that knows its size
means nothing, and the budget then allows none; and a pod whose eviction the API server has just granted still looks
healthy, so it is remembered in `disruptedPods` until it terminates.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hack.devcluster.client import ApiError
from hack.devcluster.controllers.base import Controller
from hack.devcluster.objects import (
    Obj,
    controller_of,
    int_or_percent,
    is_deleting,
    key_of,
    labels_of,
    matches_selector,
    merge_condition,
    meta,
    name_of,
    namespace_of,
    parse_time,
    pod_ready,
    spec_of,
    status_of,
)
from hack.devcluster.resources import (
    DEPLOYMENTS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
)

_GRANTED_SECONDS = 120.0
_SIZED = {entry.kind: entry for entry in (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS)}


class UnknownSize(Exception):
    """A pod's controller has no size, which a percentage or maxUnavailable needs."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Pods that should be there, and how many of them healthy."""

    pods: int
    healthy: int


def needs_sizes(budget: Obj) -> bool:
    """Whether the budget refers to the size of the pods' controllers."""
    spec = spec_of(budget)
    return spec.get("maxUnavailable") is not None or str(spec.get("minAvailable", "")).endswith("%")


def expectation(budget: Obj, pods: Sequence[Obj], sizes: Iterable[int]) -> Expected:
    """`sizes` of the distinct controllers; percentages round up, as upstream."""
    spec = spec_of(budget)
    if spec.get("maxUnavailable") is not None:
        total = sum(sizes)
        lost = int_or_percent(spec["maxUnavailable"], total, round_up=True)
        return Expected(total, max(0, total - lost))
    least = spec.get("minAvailable")
    if str(least or "").endswith("%"):
        total = sum(sizes)
        return Expected(total, int_or_percent(least, total, round_up=True))
    return Expected(len(pods), 0 if least is None else int(least))


def still_granted(budget: Obj, pods: Sequence[Obj], now: float) -> dict[str, str]:
    """Evictions granted whose pods have not begun to terminate; forgotten after two minutes."""
    alive = {name_of(pod) for pod in pods if not is_deleting(pod)}
    known = status_of(budget).get("disruptedPods") or {}
    return {
        name: stamp
        for name, stamp in known.items()
        if name in alive and now - (parse_time(stamp) or 0.0) < _GRANTED_SECONDS
    }


def budget_status(budget: Obj, pods: Sequence[Obj], *, expected: Expected, now: float) -> Obj:
    """Status for the pods selected."""
    granted = still_granted(budget, pods, now)
    healthy = sum(pod_ready(pod) and not is_deleting(pod) and name_of(pod) not in granted for pod in pods)
    allowed = max(0, healthy - expected.healthy) if expected.pods > 0 else 0
    conditions = merge_condition(
        status_of(budget).get("conditions") or [],
        kind="DisruptionAllowed",
        status="True" if allowed else "False",
        reason="SufficientPods" if allowed else "InsufficientPods",
        now=now,
        observedGeneration=meta(budget).get("generation", 0),
        message="",
    )
    before = status_of(budget).get("disruptedPods") or {}
    # A merge patch keeps what is not named.
    fields = {**dict.fromkeys(name for name in before if name not in granted), **granted}
    return {
        "currentHealthy": healthy,
        "desiredHealthy": expected.healthy,
        "expectedPods": expected.pods,
        "disruptionsAllowed": allowed,
        "disruptedPods": fields if before or fields else None,
        "observedGeneration": meta(budget).get("generation", 0),
        "conditions": conditions,
    }


def failed_status(budget: Obj, message: str, now: float) -> Obj:
    """Nothing may be evicted while the size is not known."""
    conditions = merge_condition(
        status_of(budget).get("conditions") or [],
        kind="DisruptionAllowed",
        status="False",
        reason="SyncFailed",
        message=message,
        now=now,
        observedGeneration=meta(budget).get("generation", 0),
    )
    return {
        "disruptionsAllowed": 0,
        "observedGeneration": meta(budget).get("generation", 0),
        "conditions": conditions,
    }


class DisruptionController(Controller):
    kind = POD_DISRUPTION_BUDGETS
    workers = 1

    def subscribe(self) -> None:
        self.caches.of(PODS).on_change(self._on_pod)
        for resource in _SIZED.values():
            self.caches.of(resource).on_change(self._on_owner)

    def _on_pod(self, old: Obj | None, new: Obj | None) -> None:
        for pod in (old, new):
            if pod is None:
                continue
            for budget in self.objects.in_namespace(namespace_of(pod)):
                if matches_selector(spec_of(budget).get("selector"), labels_of(pod)):
                    self.queue.add(key_of(budget))

    def _on_owner(self, old: Obj | None, new: Obj | None) -> None:
        if old is not None and new is not None and spec_of(old).get("replicas") == spec_of(new).get("replicas"):
            return
        for budget in self.objects.in_namespace(namespace_of(new or old or {})):
            self.queue.add(key_of(budget))

    async def reconcile(self, obj: Obj) -> float | None:
        selector, now = spec_of(obj).get("selector"), self.clock()
        pods = [
            pod
            for pod in self.caches.of(PODS).in_namespace(namespace_of(obj))
            if matches_selector(selector, labels_of(pod)) and status_of(pod).get("phase") not in ("Succeeded", "Failed")
        ]
        if not pods:
            self.events.normal(obj, POD_DISRUPTION_BUDGETS, "NoPods", "No matching pods found")
        try:
            sizes = await self._sizes(pods) if needs_sizes(obj) else []
        except UnknownSize as error:
            self.events.warning(obj, POD_DISRUPTION_BUDGETS, "CalculateExpectedPodCountFailed", str(error))
            await self.write_status(obj, failed_status(obj, str(error), now))
            return None
        await self.write_status(obj, budget_status(obj, pods, expected=expectation(obj, pods, sizes), now=now))
        return _GRANTED_SECONDS if still_granted(obj, pods, now) else None

    async def _sizes(self, pods: Sequence[Obj]) -> list[int]:
        """Sizes of the pods' distinct controllers. Raises UnknownSize."""
        found: dict[str, int] = {}
        for pod in pods:
            reference = controller_of(pod)
            if reference is None:
                raise UnknownSize(f"found no controller ref for pod {name_of(pod)!r}")
            if reference["uid"] not in found:
                found[str(reference["uid"])] = await self._size(pod, reference, found)
        return list(found.values())

    async def _size(self, pod: Obj, reference: Obj, found: dict[str, int]) -> int:
        """spec.replicas of the owner; a Deployment's ReplicaSets count as the Deployment, once."""
        resource = _SIZED.get(str(reference.get("kind")))
        owner = self.caches.of(resource).get((namespace_of(pod), str(reference["name"]))) if resource else None
        if owner is None:
            return await self._scale(pod, reference)
        above = controller_of(owner)
        if above is not None and above.get("kind") == DEPLOYMENTS.kind:
            deployment = self.caches.of(DEPLOYMENTS).get((namespace_of(pod), str(above["name"])))
            if deployment is not None:
                uid = str(above["uid"])
                if uid not in found:
                    found[uid] = _replicas(deployment)
                return 0
        return _replicas(owner)

    async def _scale(self, pod: Obj, reference: Obj) -> int:
        """A custom controller: its scale subresource. Raises UnknownSize."""
        group = str(reference.get("apiVersion"))
        root = f"/apis/{group}" if "/" in group else f"/api/{group}"
        where = f"{reference.get('kind')} {reference['name']!r}"
        try:
            served = await self.client.request("GET", root)
            plural = next(
                entry["name"]
                for entry in served.get("resources") or []
                if entry["kind"] == reference.get("kind") and "/" not in entry["name"]
            )
            path = f"{root}/namespaces/{namespace_of(pod)}/{plural}/{reference['name']}/scale"
            return int(spec_of(await self.client.request("GET", path)).get("replicas") or 0)
        except (ApiError, StopIteration) as error:
            raise UnknownSize(f"{where} does not implement the scale subresource") from error


def _replicas(owner: Obj) -> int:
    value = spec_of(owner).get("replicas")
    return 1 if value is None else int(value)
