"""Whether a pod fits beside the pods that are on the node: resources, host ports, spreading, (anti-)affinity. Pure.

Source: the scheduler's plugins noderesources, nodeports, podtopologyspread and interpodaffinity. Trap avoided: a pod
that is being deleted still holds what it asked for until it has ended.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hack.devcluster.node.quantity import parse_quantity
from hack.devcluster.objects import (
    Obj,
    is_deleting,
    labels_of,
    matches_selector,
    namespace_of,
    spec_of,
    status_of,
)

PORTS = "node(s) didn't have free ports for the requested pod ports"
SPREAD = "node(s) didn't match pod topology spread constraints"
SPREAD_LABEL = f"{SPREAD} (missing required label)"
POD_AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
THEIR_ANTI_AFFINITY = "node(s) didn't satisfy existing pods anti-affinity rules"

NamespaceLabels = Callable[[str], Mapping[str, str]]
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The node as the scheduler sees it."""

    labels: Mapping[str, str]
    allocatable: Mapping[str, str]
    namespace_labels: NamespaceLabels = field(default=lambda name: {"kubernetes.io/metadata.name": name})


def requests_of(pod: Obj) -> dict[str, float]:
    """Containers and sidecars together, or the largest moment of the start. Raises QuantityError."""
    total: dict[str, float] = {}
    for container in spec_of(pod).get("containers") or []:
        _add(total, _wanted(container))
    peak: dict[str, float] = {}
    sidecars: dict[str, float] = {}
    for container in spec_of(pod).get("initContainers") or []:
        wanted = _wanted(container)
        if container.get("restartPolicy") == "Always":
            _add(sidecars, wanted)
            wanted = {}
        moment = dict(sidecars)
        _add(moment, wanted)
        peak = {name: max(peak.get(name, 0.0), moment.get(name, 0.0)) for name in {*peak, *moment}}
    _add(total, sidecars)
    total = {name: max(total.get(name, 0.0), peak.get(name, 0.0)) for name in {*total, *peak}}
    _add(total, {name: parse_quantity(value) for name, value in (spec_of(pod).get("overhead") or {}).items()})
    return total


def _add(total: dict[str, float], more: Mapping[str, float]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0.0) + value


def _wanted(container: Obj) -> dict[str, float]:
    resources = container.get("resources") or {}
    merged = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: parse_quantity(value) for name, value in merged.items()}


def holds_room(pod: Obj) -> bool:
    """Bound and not finished."""
    return status_of(pod).get("phase") not in ("Succeeded", "Failed")


def fit_reasons(pod: Obj, place: Place, present: Sequence[Obj]) -> list[str]:
    """Why the pod does not fit beside `present`; empty when it does. Raises QuantityError."""
    beside = [other for other in present if holds_room(other)]
    reasons = _resources(pod, place, beside)
    if _host_ports(pod) & {port for other in beside for port in _host_ports(other)}:
        reasons.append(PORTS)
    if not reasons:
        reason = _spread(pod, place, beside) or _affinity(pod, place, beside)
        reasons = [reason] if reason else []
    return reasons


def _resources(pod: Obj, place: Place, beside: Sequence[Obj]) -> list[str]:
    used: dict[str, float] = {}
    for other in beside:
        _add(used, requests_of(other))
    offered = {name: parse_quantity(value) for name, value in place.allocatable.items()}
    short = ["Too many pods"] if len(beside) + 1 > offered.get("pods", float("inf")) else []
    for name, value in sorted(requests_of(pod).items()):
        # A hair's breadth for sums of fractions.
        if value > 0 and used.get(name, 0.0) + value > offered.get(name, 0.0) + 1e-9:
            short.append(f"Insufficient {name}")
    return short


def _host_ports(pod: Obj) -> set[tuple[str, int]]:
    return {
        (str(port.get("protocol") or "TCP"), int(port["hostPort"]))
        for container in spec_of(pod).get("containers") or []
        for port in container.get("ports") or []
        if port.get("hostPort")
    }


def _with_label_keys(selector: Obj | None, keys: Sequence[str], pod: Obj) -> Obj | None:
    """matchLabelKeys: the incoming pod's own values are part of the selector."""
    own = {key: labels_of(pod)[key] for key in keys if key in labels_of(pod)}
    if selector is None or not own:
        return selector
    return {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), **own}}


def _spread(pod: Obj, place: Place, beside: Sequence[Obj]) -> str:
    """With one node there is one domain, so only its missing label or minDomains can refuse."""
    for constraint in spec_of(pod).get("topologySpreadConstraints") or []:
        if constraint.get("whenUnsatisfiable") != "DoNotSchedule":
            continue
        if constraint.get("topologyKey") not in place.labels:
            return SPREAD_LABEL
        selector = _with_label_keys(constraint.get("labelSelector"), constraint.get("matchLabelKeys") or [], pod)
        here = sum(
            matches_selector(selector, labels_of(other))
            for other in beside
            if namespace_of(other) == namespace_of(pod) and not is_deleting(other)
        )
        least = 0 if int(constraint.get("minDomains") or 1) > 1 else here
        if here + matches_selector(selector, labels_of(pod)) - least > int(constraint.get("maxSkew") or 1):
            return SPREAD
    return ""


def _terms(pod: Obj, kind: str) -> list[Obj]:
    found: list[Obj] = ((spec_of(pod).get("affinity") or {}).get(kind) or {}).get(_REQUIRED) or []
    return found


def _takes(term: Obj, owner: Obj, other: Obj, namespaces: NamespaceLabels) -> bool:
    """Whether a term of `owner` means `other`."""
    named, selector = term.get("namespaces") or [], term.get("namespaceSelector")
    inside = namespace_of(other) in named
    if selector is not None:
        inside = inside or matches_selector(selector, namespaces(namespace_of(other)))
    elif not named:
        inside = namespace_of(other) == namespace_of(owner)
    wanted = _with_label_keys(term.get("labelSelector"), term.get("matchLabelKeys") or [], owner)
    return inside and matches_selector(wanted, labels_of(other))


def _affinity(pod: Obj, place: Place, beside: Iterable[Obj]) -> str:
    others = list(beside)
    for other in others:
        for term in _terms(other, "podAntiAffinity"):
            if term.get("topologyKey") in place.labels and _takes(term, other, pod, place.namespace_labels):
                return THEIR_ANTI_AFFINITY
    for term in _terms(pod, "podAntiAffinity"):
        met = any(_takes(term, pod, other, place.namespace_labels) for other in others)
        if term.get("topologyKey") in place.labels and met:
            return ANTI_AFFINITY
    wanted = _terms(pod, "podAffinity")
    if wanted and any(term.get("topologyKey") not in place.labels for term in wanted):
        return POD_AFFINITY
    met = all(any(_takes(term, pod, other, place.namespace_labels) for other in others) for term in wanted)
    # The first of a group that wants to be together has nobody to be with yet.
    nobody = not any(_takes(term, pod, other, place.namespace_labels) for term in wanted for other in others)
    first = nobody and all(_takes(term, pod, pod, place.namespace_labels) for term in wanted)
    return "" if met or first else POD_AFFINITY
