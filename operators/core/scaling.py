"""How many fan-out pods a room needs: a stable and a panic window over the measured connections.

The panic window answers a crowd within seconds; scaling down waits for the stabilisation window and gives pods back
slowly, because each one drains open sockets. Old measurements keep what is there rather than guess.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

STABLE_SECONDS, PANIC_SECONDS = 60.0, 6.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Connections of the whole room at a moment (Unix seconds)."""

    at: float
    connections: int


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """Bounds and windows; the defaults are those of docs/explanation/autoscaling.md."""

    minimum: int
    maximum: int
    per_replica: int
    utilization_percent: int = 70
    stable_seconds: float = STABLE_SECONDS
    panic_seconds: float = PANIC_SECONDS
    panic_ratio: float = 2.0
    stale_seconds: float = 30.0
    stabilization_seconds: float = 300.0
    up_factor: int = 4
    up_step: int = 20
    down_percent: int = 25


@dataclass(frozen=True, slots=True)
class Decision:
    """The wanted number of replicas and why."""

    replicas: int
    reason: str


def decide(
    samples: Sequence[Sample], *, current: int, floor: int, rules: ScalingRules, now: float, last_change: float = 0.0
) -> Decision:
    """Replicas for the room. `samples` are in time order; `floor` is what sales hold ready."""
    low = min(max(rules.minimum, floor), rules.maximum)
    fresh = [sample for sample in samples if now - sample.at <= rules.stabilization_seconds]
    if not fresh or now - fresh[-1].at > rules.stale_seconds:
        return Decision(_clamp(max(current, low), low, rules.maximum), "MetricsStale")
    stable = needed(_mean(fresh, now - rules.stable_seconds), rules)
    panic = needed(_mean(fresh, now - rules.panic_seconds), rules)
    panicking = panic >= rules.panic_ratio * max(current, 1)
    wanted = max(stable, panic) if panicking else max(stable, min(panic, current))
    if wanted > current:
        step = max(current * rules.up_factor, current + rules.up_step)
        return Decision(_clamp(min(wanted, step), low, rules.maximum), "Panic" if panicking else "ScaleUp")
    return _down(fresh, current=current, low=low, rules=rules, now=now, last_change=last_change)


def needed(connections: float, rules: ScalingRules) -> int:
    """Replicas that carry `connections` at the target utilisation."""
    return ceil(connections * 100 / (rules.per_replica * rules.utilization_percent))


def floor_for(expected_viewers: int, headroom_percent: int, per_replica: int) -> int:
    """Replicas that a sale wants ready for its crowd."""
    return ceil(expected_viewers * (100 + headroom_percent) / (100 * per_replica))


def _down(
    fresh: Sequence[Sample], *, current: int, low: int, rules: ScalingRules, now: float, last_change: float
) -> Decision:
    if current <= low:
        return Decision(low, "AtFloor")
    peak = max(needed(sample.connections, rules) for sample in fresh)
    seen = now - fresh[0].at
    if peak >= current or seen < rules.stable_seconds or now - last_change < rules.stable_seconds:
        return Decision(_clamp(current, low, rules.maximum), "Steady")
    step = max(1, current * rules.down_percent // 100)
    return Decision(_clamp(max(peak, current - step), low, rules.maximum), "ScaleDown")


def _mean(samples: Sequence[Sample], since: float) -> float:
    window = [sample.connections for sample in samples if sample.at >= since]
    return sum(window) / len(window) if window else float(samples[-1].connections)


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))
