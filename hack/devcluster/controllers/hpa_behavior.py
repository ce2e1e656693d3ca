"""From the size that the metrics ask for to the one that is set: stabilization, policies, limits. Pure.

Source: pkg/controller/podautoscaler/horizontal.go. Times in seconds. Trap avoided: policies count what was changed
within their period, so that several small steps may not sum up to more than one large one would be allowed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from hack.devcluster.controllers.hpa_algorithm import TOLERANCE, Tolerances
from hack.devcluster.node.quantity import parse_quantity
from hack.devcluster.objects import Obj, spec_of

DOWN_WINDOW = 300.0
_UP_FACTOR = 2
_UP_LEAST = 4
_UP_POLICIES: tuple[Obj, ...] = (
    {"type": "Pods", "value": 4, "periodSeconds": 15},
    {"type": "Percent", "value": 100, "periodSeconds": 15},
)
_DOWN_POLICIES: tuple[Obj, ...] = ({"type": "Percent", "value": 100, "periodSeconds": 15},)


@dataclass(frozen=True, slots=True)
class Timed:
    """A recommendation, or a change of size, and its moment."""

    count: int
    when: float


@dataclass(slots=True)
class History:
    """What one autoscaler remembers; lost with the process, as upstream."""

    recommendations: list[Timed] = field(default_factory=list)
    ups: list[Timed] = field(default_factory=list)
    downs: list[Timed] = field(default_factory=list)

    def record_change(self, before: int, after: int, now: float) -> None:
        if after > before:
            self.ups.append(Timed(after - before, now))
        elif after < before:
            self.downs.append(Timed(before - after, now))

    def prune(self, *, keep: float, now: float) -> None:
        """Forget what is older than `keep` seconds."""
        for entries in (self.recommendations, self.ups, self.downs):
            entries[:] = [entry for entry in entries if now - entry.when <= keep]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One direction of spec.behavior with its defaults."""

    window: float
    select: str
    policies: tuple[Obj, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The size to set, and the reasons and sentences of AbleToScale and ScalingLimited."""

    replicas: int
    able: tuple[str, str]
    limited: bool
    limit: tuple[str, str]


_READY = ("ReadyForNewScale", "recommended size matches current size")
_DOWN_HELD = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
_UP_HELD = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")
TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
_TOO_FAST_UP = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
_TOO_FAST_DOWN = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")


def rules_of(hpa: Obj, direction: str) -> Rules:
    """`scaleUp` or `scaleDown` of spec.behavior."""
    given = (spec_of(hpa).get("behavior") or {}).get(direction) or {}
    window = given.get("stabilizationWindowSeconds")
    default = 0.0 if direction == "scaleUp" else DOWN_WINDOW
    return Rules(
        window=default if window is None else float(window),
        select=given.get("selectPolicy") or "Max",
        policies=tuple(given.get("policies") or (_UP_POLICIES if direction == "scaleUp" else _DOWN_POLICIES)),
    )


def tolerances_of(hpa: Obj) -> Tolerances:
    """10 % unless behavior.scaleUp.tolerance or behavior.scaleDown.tolerance says otherwise."""
    behavior = spec_of(hpa).get("behavior") or {}

    def of(direction: str) -> float:
        value = (behavior.get(direction) or {}).get("tolerance")
        return TOLERANCE if value is None else parse_quantity(value)

    return Tolerances(down=of("scaleDown"), up=of("scaleUp"))


def bounds(hpa: Obj) -> tuple[int, int]:
    """(minReplicas, maxReplicas)."""
    least = spec_of(hpa).get("minReplicas")
    return 1 if least is None else int(least), int(spec_of(hpa).get("maxReplicas") or 1)


def decide(hpa: Obj, *, current: int, desired: int, history: History, now: float) -> Decision:
    """Normalize a recommendation; it is recorded in `history`."""
    if spec_of(hpa).get("behavior") is None:
        return _decide_plain(hpa, current, desired, history, now)
    up, down = rules_of(hpa, "scaleUp"), rules_of(hpa, "scaleDown")
    stable, able = _stabilize(current, desired, up, down, history, now)
    history.recommendations.append(Timed(desired, now))
    history.prune(keep=max(up.window, down.window, *(_longest(rules) for rules in (up, down))), now=now)
    least, most = bounds(hpa)
    replicas, limit = _limit_rate(current, stable, up, down, least, most, history, now)
    return Decision(replicas=replicas, able=able, limited=replicas != stable, limit=limit)


def _decide_plain(hpa: Obj, current: int, desired: int, history: History, now: float) -> Decision:
    """Without spec.behavior: a window of five minutes downwards, twice the size (at least four) upwards."""
    recent = [entry.count for entry in history.recommendations if now - entry.when < DOWN_WINDOW]
    stable = max([desired, *recent])
    history.recommendations.append(Timed(desired, now))
    history.prune(keep=DOWN_WINDOW, now=now)
    able = _DOWN_HELD if stable != desired else _READY
    least, most = bounds(hpa)
    rate = max(_UP_FACTOR * current, _UP_LEAST)
    if stable < least:
        return Decision(replicas=least, able=able, limited=True, limit=TOO_FEW)
    if stable > min(most, rate):
        limit = _TOO_FAST_UP if rate < most else TOO_MANY
        return Decision(replicas=min(most, rate), able=able, limited=True, limit=limit)
    return Decision(replicas=stable, able=able, limited=False, limit=WITHIN)


def _stabilize(
    current: int, desired: int, up: Rules, down: Rules, history: History, now: float
) -> tuple[int, tuple[str, str]]:
    lowest = highest = desired
    for entry in history.recommendations:
        if now - entry.when < up.window:
            lowest = min(lowest, entry.count)
        if now - entry.when < down.window:
            highest = max(highest, entry.count)
    stable = min(max(current, lowest), highest)
    if desired > stable:
        return stable, _UP_HELD
    return stable, _DOWN_HELD if desired < stable else _READY


def _limit_rate(
    current: int, wanted: int, up: Rules, down: Rules, least: int, most: int, history: History, now: float
) -> tuple[int, tuple[str, str]]:
    if wanted > current:
        ceiling = max(_up_limit(current, up, history, now), current)
        if wanted > min(most, ceiling):
            return min(most, ceiling), _TOO_FAST_UP if ceiling < most else TOO_MANY
    elif wanted < current:
        floor = min(_down_limit(current, down, history, now), current)
        if wanted < max(least, floor):
            return max(least, floor), _TOO_FAST_DOWN if floor > least else TOO_FEW
    return wanted, WITHIN


def _changed(entries: Sequence[Timed], period: float, now: float) -> int:
    return sum(entry.count for entry in entries if now - entry.when < period)


def _at_start(current: int, policy: Obj, history: History, now: float) -> int:
    period = float(policy["periodSeconds"])
    return current - _changed(history.ups, period, now) + _changed(history.downs, period, now)


def _up_limit(current: int, rules: Rules, history: History, now: float) -> int:
    if rules.select == "Disabled":
        return current
    proposals = []
    for policy in rules.policies:
        start, value = _at_start(current, policy, history, now), int(policy["value"])
        # Whole-number arithmetic: 1.1 * 10 is more than 11 in floats.
        proposals.append(start + value if policy["type"] == "Pods" else -(-start * (100 + value) // 100))
    return min(proposals) if rules.select == "Min" else max(proposals)


def _down_limit(current: int, rules: Rules, history: History, now: float) -> int:
    if rules.select == "Disabled":
        return current
    proposals = []
    for policy in rules.policies:
        start, value = _at_start(current, policy, history, now), int(policy["value"])
        proposals.append(start - value if policy["type"] == "Pods" else math.trunc(start * (100 - value) / 100))
    return max(proposals) if rules.select == "Min" else min(proposals)


def _longest(rules: Rules) -> float:
    return max(float(policy["periodSeconds"]) for policy in rules.policies)
