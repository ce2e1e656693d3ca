"""HorizontalPodAutoscaler v2: reads metrics, decides, and writes the target's scale subresource.

Source: pkg/controller/podautoscaler/horizontal.go. Trap avoided: its own status writes must not wake it again, or a
recommendation would be taken with every write; only a change of the spec does, else the sync period.
"""

from collections.abc import Callable

from hack.devcluster.client import ApiError
from hack.devcluster.controllers import hpa_behavior as behavior
from hack.devcluster.controllers.base import Caches, Controller
from hack.devcluster.controllers.hpa_metrics import MetricSource
from hack.devcluster.controllers.hpa_round import InvalidMetric, MetricReader, Round
from hack.devcluster.events import EventRecorder
from hack.devcluster.objects import (
    Obj,
    format_time,
    is_deleting,
    key_of,
    labels_of,
    matches_selector,
    meta,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from hack.devcluster.resources import HORIZONTAL_POD_AUTOSCALERS, NODES, PODS

SYNC_SECONDS = 5.0


class AutoscalerController(Controller):
    kind = HORIZONTAL_POD_AUTOSCALERS
    workers = 1

    def __init__(self, caches: Caches, events: EventRecorder, *options: Callable[[], float]) -> None:
        self._histories: dict[str, behavior.History] = {}
        self._reader = MetricReader(MetricSource(caches.of(NODES)))
        self._plurals: dict[tuple[str, str], str] = {}
        super().__init__(caches, events, *options)

    def _on_own(self, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            self._histories.pop(uid_of(old or {}), None)
        elif old is None or spec_of(old) != spec_of(new):
            self.queue.add(key_of(new))

    async def reconcile(self, obj: Obj) -> float | None:
        if is_deleting(obj):
            return None
        look = Round(hpa=obj, now=self.clock(), conditions=list(status_of(obj).get("conditions") or []))
        try:
            path, scale = await self._scale(look)
        except (ApiError, KeyError) as error:
            text = error.message if isinstance(error, ApiError) else f"no kind {error}"
            self._warn(obj, "FailedGetScale", text)
            look.set(
                "AbleToScale", False, "FailedGetScale", f"the HPA controller was unable to get the target's {text}"
            )
            await self.write_status(obj, {"conditions": look.conditions})
            return SYNC_SECONDS
        look.set(
            "AbleToScale", True, "SucceededGetScale", "the HPA controller was able to get the target's current scale"
        )
        look.current, look.seen = int(spec_of(scale).get("replicas") or 0), int(status_of(scale).get("replicas") or 0)
        desired, reason = await self._desired(look, scale)
        rescaled = False
        if desired is not None and desired != look.current:
            rescaled = await self._rescale(look, path, scale, desired, reason)
        await self._write(look, look.current if desired is None else desired, rescaled)
        return SYNC_SECONDS

    # Target

    async def _scale(self, look: Round) -> tuple[str, Obj]:
        """(URL path, Scale). Raises ApiError; KeyError for a kind that is not served."""
        target = spec_of(look.hpa)["scaleTargetRef"]
        version, kind = str(target.get("apiVersion") or "v1"), str(target["kind"])
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        plural = self._plurals.get((version, kind))
        if plural is None:
            served = await self.client.request("GET", root)
            names = {
                entry["kind"]: entry["name"] for entry in served.get("resources") or [] if "/" not in entry["name"]
            }
            plural = self._plurals[version, kind] = names[kind]
        path = f"{root}/namespaces/{namespace_of(look.hpa)}/{plural}/{target['name']}/scale"
        return path, await self.client.request("GET", path)

    async def _rescale(self, look: Round, path: str, scale: Obj, desired: int, reason: str) -> bool:
        body: Obj = {**scale, "spec": {**spec_of(scale), "replicas": desired}}
        try:
            await self.client.request("PUT", path, body=body)
        except ApiError as error:
            self._warn(look.hpa, "FailedRescale", f"New size: {desired}; reason: {reason}; error: {error.message}")
            text = f"the HPA controller was unable to update the target scale: {error.message}"
            look.set("AbleToScale", False, "FailedUpdateScale", text)
            return False
        text = f"the HPA controller was able to update the target scale to {desired}"
        look.set("AbleToScale", True, "SucceededRescale", text)
        self.events.normal(look.hpa, self.kind, "SuccessfulRescale", f"New size: {desired}; reason: {reason}")
        self._history(look.hpa).record_change(look.current, desired, look.now)
        return True

    def _history(self, hpa: Obj) -> behavior.History:
        return self._histories.setdefault(uid_of(hpa), behavior.History())

    # Decision

    async def _desired(self, look: Round, scale: Obj) -> tuple[int | None, str]:
        """(replicas or None for unknown, reason of a change)."""
        least, most = behavior.bounds(look.hpa)
        if look.current == 0 and least != 0:
            text = "scaling is disabled since the replica count of the target is zero"
            look.set("ScalingActive", False, "ScalingDisabled", text)
            return 0, ""
        if look.current > most:
            return most, "Current number of replicas above Spec.MaxReplicas"
        if look.current < least:
            return least, "Current number of replicas below Spec.MinReplicas"
        selector = str(status_of(scale).get("selector") or "")
        if not selector:
            self._warn(look.hpa, "SelectorRequired", "selector is required")
            text = "the HPA target's scale is missing a selector"
            look.set("ScalingActive", False, "InvalidSelector", text)
            return None, ""
        look.pods = await self._pods(look, selector)
        found = await self._from_metrics(look)
        if found is None:
            return None, ""
        wanted, metric = found
        decision = behavior.decide(
            look.hpa, current=look.current, desired=wanted, history=self._history(look.hpa), now=look.now
        )
        look.set("AbleToScale", True, *decision.able)
        look.set("ScalingLimited", decision.limited, *decision.limit)
        up = decision.replicas > look.current
        return decision.replicas, f"{metric} above target" if up else "All metrics below target"

    async def _pods(self, look: Round, selector: str) -> list[Obj]:
        """From the cache where the selector is plain equality, else from the API."""
        pairs = [part.partition("=") for part in selector.split(",")]
        if all(middle and not any(mark in name + value for mark in "!=() ") for name, middle, value in pairs):
            wanted = {"matchLabels": {name: value for name, _, value in pairs}}
            pods = self.caches.of(PODS).in_namespace(namespace_of(look.hpa))
            return [pod for pod in pods if matches_selector(wanted, labels_of(pod))]
        answer = await self.client.list(PODS, namespace_of(look.hpa), params={"labelSelector": selector})
        found: list[Obj] = answer.get("items") or []
        return found

    async def _from_metrics(self, look: Round) -> tuple[int, str] | None:
        """The largest proposal and its metric; None (with a condition) when nothing may be concluded."""
        specs = spec_of(look.hpa).get("metrics") or []
        best, name, failures = 0, "", list[InvalidMetric]()
        for entry in specs:
            try:
                proposal, label = await self._reader.propose(look, entry)
            except InvalidMetric as error:
                failures.append(error)
                self._warn(look.hpa, error.reason, str(error))
                continue
            if not name or proposal.replicas > best:
                best, name = proposal.replicas, label
        if failures and (len(failures) >= len(specs) or best < look.current):
            first = failures[0]
            text = f"the HPA was unable to compute the replica count: {first}"
            look.set("ScalingActive", False, first.reason, text)
            count = f"invalid metrics ({len(failures)} invalid out of {len(specs)}), first error is: {first}"
            self._warn(look.hpa, "FailedComputeMetricsReplicas", count)
            return None
        text = f"the HPA was able to successfully calculate a replica count from {name}"
        look.set("ScalingActive", True, "ValidMetricFound", text)
        return best, name

    # Status

    def _warn(self, hpa: Obj, reason: str, message: str) -> None:
        self.events.warning(hpa, self.kind, reason, message)

    async def _write(self, look: Round, desired: int, rescaled: bool) -> None:
        status: Obj = {
            "currentReplicas": look.seen,
            "desiredReplicas": desired,
            "currentMetrics": look.metrics or None,
            "conditions": look.conditions,
        }
        if meta(look.hpa).get("generation") is not None:
            status["observedGeneration"] = meta(look.hpa)["generation"]
        if rescaled:
            status["lastScaleTime"] = format_time(look.now)
        await self.write_status(look.hpa, status)
