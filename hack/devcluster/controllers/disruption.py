"""PodDisruptionBudget status: how many pods may be evicted now."""

from collections.abc import Sequence

from hack.devcluster.controllers.base import Controller
from hack.devcluster.objects import (
    Obj,
    condition_true,
    int_or_percent,
    key_of,
    labels_of,
    matches_selector,
    merge_condition,
    meta,
    namespace_of,
    pod_active,
    spec_of,
    status_of,
)
from hack.devcluster.resources import POD_DISRUPTION_BUDGETS, PODS


def budget_status(budget: Obj, pods: Sequence[Obj], *, expected: int, now: float) -> Obj:
    """Status for the pods selected; `expected` is their owners' wanted size."""
    spec = spec_of(budget)
    healthy = sum(condition_true(pod, "Ready") for pod in pods if pod_active(pod))
    if spec.get("maxUnavailable") is not None:
        desired = expected - int_or_percent(spec["maxUnavailable"], expected, round_up=True)
    else:
        value = spec.get("minAvailable")
        desired = int_or_percent(1 if value is None else value, expected, round_up=True)
    desired = max(0, desired)
    allowed = max(0, healthy - desired)
    conditions = merge_condition(
        status_of(budget).get("conditions") or [],
        kind="DisruptionAllowed",
        status="True" if allowed else "False",
        reason="SufficientPods" if allowed else "InsufficientPods",
        now=now,
        observedGeneration=meta(budget).get("generation", 0),
        message="",
    )
    return {
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "disruptionsAllowed": allowed,
        "observedGeneration": meta(budget).get("generation", 0),
        "conditions": conditions,
    }


class DisruptionController(Controller):
    kind = POD_DISRUPTION_BUDGETS
    workers = 1

    def subscribe(self) -> None:
        self.caches.of(PODS).on_change(self._on_pod)

    def _on_pod(self, old: Obj | None, new: Obj | None) -> None:
        for pod in (old, new):
            if pod is None:
                continue
            for budget in self.objects.in_namespace(namespace_of(pod)):
                if matches_selector(spec_of(budget).get("selector"), labels_of(pod)):
                    self.queue.add(key_of(budget))

    async def reconcile(self, obj: Obj) -> float | None:
        selector = spec_of(obj).get("selector")
        pods = [
            pod
            for pod in self.caches.of(PODS).in_namespace(namespace_of(obj))
            if matches_selector(selector, labels_of(pod))
        ]
        expected = self._expected(pods)
        await self.write_status(obj, budget_status(obj, pods, expected=expected, now=self.clock()))
        return None

    def _expected(self, pods: Sequence[Obj]) -> int:
        """Sum of the sizes of the pods' controllers; a pod without one counts for itself."""
        owners: dict[str, int] = {}
        loose = 0
        for pod in pods:
            size = self._owner_size(pod)
            if size is None:
                loose += pod_active(pod)
            else:
                owners[size[0]] = size[1]
        return loose + sum(owners.values())

    def _owner_size(self, pod: Obj) -> tuple[str, int] | None:
        for informer in self.caches.all():
            for reference in meta(pod).get("ownerReferences") or []:
                if reference.get("controller") and reference.get("kind") == informer.resource.kind:
                    owner = informer.get((namespace_of(pod), reference["name"]))
                    if owner is not None and spec_of(owner).get("replicas") is not None:
                        return str(reference["uid"]), int(spec_of(owner)["replicas"])
        return None
