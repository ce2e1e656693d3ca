"""How many replicas one metric asks for. Pure.

Source: pkg/controller/podautoscaler/replica_calculator.go and metrics/utilization.go. Values are whole thousandths
(milli-units), as there, so that rounding agrees. Trap avoided: a pod without a metric must never make the autoscaler
move further than the pods with one justify; it counts as idle when scaling up and as busy when scaling down.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hack.devcluster.node.quantity import QuantityError, parse_quantity
from hack.devcluster.objects import Obj, condition, is_deleting, name_of, parse_time, spec_of, status_of

CPU_INITIALIZATION = 300.0
INITIAL_READINESS_DELAY = 30.0
TOLERANCE = 0.1


class MetricError(Exception):
    """A metric gives no replica count; the message goes into the condition ScalingActive."""


@dataclass(frozen=True, slots=True)
class PodValue:
    """One pod's value in thousandths, when it was taken (epoch seconds) and over which window (seconds)."""

    milli: int
    taken: float
    window: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """Relative distances from the target, below and above, within which nothing moves."""

    down: float = TOLERANCE
    up: float = TOLERANCE

    def hold(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The target's pods by what is known of them (names)."""

    ready: int
    unready: frozenset[str]
    missing: frozenset[str]
    ignored: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Replicas asked for, and what `status.currentMetrics` shows; `utilization` in percent of the requests."""

    replicas: int
    average_milli: int
    utilization: int | None = None


def group_pods(pods: Sequence[Obj], values: Mapping[str, PodValue], *, cpu: bool, now: float) -> Groups:
    """Sort pods into ready, unready (their sample says nothing yet), missing (no sample) and ignored."""
    ready, unready, missing, ignored = 0, set[str](), set[str](), set[str]()
    for pod in pods:
        name, phase = name_of(pod), status_of(pod).get("phase")
        if is_deleting(pod) or phase == "Failed":
            ignored.add(name)
        elif phase == "Pending":
            unready.add(name)
        elif name not in values:
            missing.add(name)
        elif cpu and _sample_too_early(pod, values[name], now):
            unready.add(name)
        else:
            ready += 1
    return Groups(ready=ready, unready=frozenset(unready), missing=frozenset(missing), ignored=frozenset(ignored))


def _sample_too_early(pod: Obj, value: PodValue, now: float) -> bool:
    """CPU of a starting pod is its start-up's, not its load's."""
    found, started = condition(pod, "Ready"), parse_time(status_of(pod).get("startTime"))
    if found is None or started is None:
        return True
    changed = parse_time(found.get("lastTransitionTime")) or 0.0
    unready = found.get("status") == "False"
    if started + CPU_INITIALIZATION > now:
        return unready or value.taken < changed + value.window
    return unready and started + INITIAL_READINESS_DELAY > changed


def pod_requests(pods: Sequence[Obj], resource: str, container: str = "") -> dict[str, int]:
    """Requests in thousandths by pod name, of one container or of all. Raises MetricError when one has none."""
    result: dict[str, int] = {}
    for pod in pods:
        total = 0
        for entry in metered_containers(pod):
            if container and entry["name"] != container:
                continue
            value = ((entry.get("resources") or {}).get("requests") or {}).get(resource)
            if value is None:
                raise MetricError(
                    f"failed to get {resource} utilization: missing request for {resource} in container "
                    f"{entry['name']} of Pod {name_of(pod)}"
                )
            try:
                total += math.ceil(parse_quantity(value) * 1000 - 1e-6)
            except QuantityError as error:
                raise MetricError(str(error)) from error
        result[name_of(pod)] = total
    return result


def metered_containers(pod: Obj) -> list[Obj]:
    """The containers that run for the pod's life: the main ones and the sidecars."""
    sidecars = [item for item in spec_of(pod).get("initContainers") or [] if item.get("restartPolicy") == "Always"]
    return [*sidecars, *(spec_of(pod).get("containers") or [])]


def by_utilization(
    current: int,
    target: int,
    values: Mapping[str, PodValue],
    requests: Mapping[str, int],
    groups: Groups,
    tolerances: Tolerances,
) -> Proposal:
    """For a target in percent of the requests. Raises MetricError."""
    known = _usable(values, groups)

    def ratio_of(milli: Mapping[str, int]) -> tuple[float, int, int]:
        counted = [name for name in milli if name in requests]
        asked = sum(requests[name] for name in counted)
        if asked == 0:
            raise MetricError("no metrics returned matched known pods")
        used = sum(milli[name] for name in counted)
        percent = used * 100 // asked
        return percent / target, percent, used // len(counted)

    ratio, percent, average = ratio_of(known)
    # A pod without a sample is taken to use all it asked for, or the target where that is more.
    busy = {name: requests.get(name, 0) * max(100, target) // 100 for name in groups.missing}
    replicas = _settle(current, known, ratio, lambda milli: ratio_of(milli)[0], groups, busy, tolerances)
    return Proposal(replicas=replicas, average_milli=average, utilization=percent)


def by_average(
    current: int, target_milli: int, values: Mapping[str, PodValue], groups: Groups, tolerances: Tolerances
) -> Proposal:
    """For a target value per pod in thousandths. Raises MetricError."""
    known = _usable(values, groups)

    def ratio_of(milli: Mapping[str, int]) -> float:
        return (sum(milli.values()) // len(milli)) / target_milli

    busy = dict.fromkeys(groups.missing, target_milli)
    replicas = _settle(current, known, ratio_of(known), ratio_of, groups, busy, tolerances)
    return Proposal(replicas=replicas, average_milli=sum(known.values()) // len(known))


def _usable(values: Mapping[str, PodValue], groups: Groups) -> dict[str, int]:
    left_out = groups.ignored | groups.unready
    known = {name: value.milli for name, value in values.items() if name not in left_out}
    if not known:
        raise MetricError("did not receive metrics for targeted pods (pods might be unready)")
    return known


def _settle(
    current: int,
    known: Mapping[str, int],
    ratio: float,
    ratio_of: Callable[[Mapping[str, int]], float],
    groups: Groups,
    busy: Mapping[str, int],
    tolerances: Tolerances,
) -> int:
    """The replica count of a ratio, made cautious for pods that are missing or not ready."""
    up_with_unready = bool(groups.unready) and ratio > 1.0
    if not up_with_unready and not groups.missing:
        return current if tolerances.hold(ratio) else math.ceil(ratio * groups.ready - 1e-9)
    milli = dict(known)
    if ratio < 1.0:
        milli.update(busy)
    elif ratio > 1.0:
        milli.update(dict.fromkeys(groups.missing, 0))
    if up_with_unready:
        milli.update(dict.fromkeys(groups.unready, 0))
    fresh = ratio_of(milli)
    if tolerances.hold(fresh) or (ratio < 1.0 < fresh) or (fresh < 1.0 < ratio):
        return current
    replicas = math.ceil(fresh * len(milli) - 1e-9)
    against = (fresh < 1.0 and replicas > current) or (fresh > 1.0 and replicas < current)
    return current if against else replicas
