"""One look of an autoscaler at its metrics: from a metric of the spec to a proposal and its status entry.

Trap avoided: the node agents are asked once per look, not once per metric, so that two metrics see the same moment.
"""

from dataclasses import dataclass, field

from hack.devcluster.controllers import hpa_behavior as behavior
from hack.devcluster.controllers.hpa_algorithm import (
    Groups,
    MetricError,
    PodValue,
    Proposal,
    by_average,
    by_utilization,
    group_pods,
    pod_requests,
)
from hack.devcluster.controllers.hpa_metrics import MetricSource, Summary, pod_resource
from hack.devcluster.node.quantity import QuantityError, parse_quantity
from hack.devcluster.objects import Obj, merge_condition, name_of

_ABSENT_API = {
    "Object": ("FailedGetObjectMetric", "custom.metrics.k8s.io", "metrics of other objects"),
    "External": ("FailedGetExternalMetric", "external.metrics.k8s.io", "metrics from outside the cluster"),
}


class InvalidMetric(Exception):
    """A metric of the spec gives no number: (reason of the condition, sentence)."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(slots=True, kw_only=True)
class Round:
    """One look at one autoscaler; conditions build up in it."""

    hpa: Obj
    now: float
    conditions: list[Obj]
    pods: list[Obj] = field(default_factory=list)
    current: int = 0
    """spec.replicas of the target."""
    seen: int = 0
    """status.replicas of the target."""
    metrics: list[Obj] = field(default_factory=list)
    summary: Summary | None = None

    def set(self, kind: str, value: bool, reason: str, message: str) -> None:
        self.conditions = merge_condition(
            self.conditions,
            kind=kind,
            status="True" if value else "False",
            reason=reason,
            message=message,
            now=self.now,
        )


class MetricReader:
    """Evaluates the metrics of autoscalers."""

    def __init__(self, source: MetricSource) -> None:
        self._source = source

    async def propose(self, look: Round, entry: Obj) -> tuple[Proposal, str]:
        """(proposal, metric's name); notes the current value. Raises InvalidMetric."""
        kind = str(entry.get("type"))
        if kind in _ABSENT_API:
            reason, api, what = _ABSENT_API[kind]
            raise InvalidMetric(reason, f"unable to get {what}: no {api} API is served here")
        if kind not in ("Resource", "ContainerResource", "Pods"):
            raise InvalidMetric("InvalidMetricSourceType", f'unknown metric source type "{kind}"')
        try:
            if kind == "Pods":
                return await self._pods_metric(look, entry["pods"])
            return await self._resource_metric(look, kind, entry)
        except (MetricError, QuantityError) as error:
            raise InvalidMetric(
                f"FailedGet{kind}Metric", f"failed to get {kind.lower()} metric value: {error}"
            ) from error

    async def _resource_metric(self, look: Round, kind: str, entry: Obj) -> tuple[Proposal, str]:
        key = "resource" if kind == "Resource" else "containerResource"
        source: Obj = entry[key]
        resource, container = str(source["name"]), str(source.get("container") or "")
        if look.summary is None:
            look.summary = await self._source.summary()
        values = {
            name_of(pod): value
            for pod in look.pods
            if (value := pod_resource(pod, resource, look.summary, container)) is not None
        }
        label = f"{resource} resource" if not container else f"{resource} container resource"
        proposal = self._calculate(look, source["target"], values, resource, container)
        if proposal.utilization is not None:
            label += " utilization (percentage of request)"
        current: Obj = {"averageValue": format_milli(proposal.average_milli)}
        if proposal.utilization is not None:
            current["averageUtilization"] = proposal.utilization
        shown: Obj = {"name": resource, "current": current, **({"container": container} if container else {})}
        look.metrics.append({"type": kind, key: shown})
        return proposal, label

    async def _pods_metric(self, look: Round, source: Obj) -> tuple[Proposal, str]:
        name, selector = str(source["metric"]["name"]), source["metric"].get("selector")
        values = await self._source.custom(look.pods, name, selector, look.now)
        if not values:
            raise MetricError(f"unable to get metric {name}: no metrics returned from the pods' Prometheus pages")
        proposal = self._calculate(look, source["target"], dict(values), "", "")
        shown = {"metric": source["metric"], "current": {"averageValue": format_milli(proposal.average_milli)}}
        look.metrics.append({"type": "Pods", "pods": shown})
        return proposal, f"pods metric {name}"

    def _calculate(
        self, look: Round, target: Obj, values: dict[str, PodValue], resource: str, container: str
    ) -> Proposal:
        """Raises MetricError, QuantityError."""
        if resource and not values:
            raise MetricError(f"no metrics returned for {resource} from the node agents")
        groups: Groups = group_pods(look.pods, values, cpu=resource == "cpu", now=look.now)
        tolerances = behavior.tolerances_of(look.hpa)
        if target.get("averageUtilization") is not None:
            requests = pod_requests(look.pods, resource, container)
            wanted = int(target["averageUtilization"])
            return by_utilization(look.current, wanted, values, requests, groups, tolerances)
        if target.get("averageValue") is None:
            raise MetricError("the target has neither averageUtilization nor averageValue")
        milli = round(parse_quantity(target["averageValue"]) * 1000)
        return by_average(look.current, milli, values, groups, tolerances)


def format_milli(value: int) -> str:
    """Thousandths as a quantity: 1500 -> "1500m", 2000 -> "2"."""
    return f"{value}m" if value % 1000 else str(value // 1000)
