"""The capacity of a sale: how much, from when, until when.

The sale never scales its room itself. It states a floor, and the reconcile of the LiveStream, which owns the fan-out,
reads it: one writer for each field. Shared services, which no stream owns, are in `services`.
"""

from dataclasses import dataclass
from math import ceil

from operators.api import FlashSale
from operators.api.base import seconds
from operators.api.flashsale import SalePhase, SaleState
from operators.core.scaling import floor_for
from operators.core.times import epoch, epoch_or_none

BURST_PODS = 10
"""Pods that a cluster starts side by side without slowing each other down."""
NODE_START_SECONDS = 180.0
ALARM_SECONDS = 60.0
SLACK = 1.2
NO_MORE_CAPACITY = (SalePhase.CANCELLED, SalePhase.FAILED)


@dataclass(frozen=True, slots=True)
class CapacityFloor:
    """Replicas of a component that must stand from `begins` on; Unix seconds, `ends` is when the last one may go."""

    component: str
    replicas: int
    begins: float
    ends: float


def lead_seconds(sale: FlashSale, replicas: int, pod_start_seconds: float) -> float:
    """How long before the start capacity is asked for: what the owner wants, or longer when pods start slowly.

    The alert looks a minute before the start, so capacity has to stand by then, with a fifth more time than measured.
    """
    prewarm = sale.spec.capacity.prewarm
    starting = pod_start_seconds * ceil(replicas / BURST_PODS) + (NODE_START_SECONDS if prewarm.nodes else 0.0)
    needed = starting * SLACK + ALARM_SECONDS
    return max(seconds(prewarm.lead_time), needed)


def peak_replicas(sale: FlashSale, per_replica: int) -> int:
    """Fan-out pods for the expected crowd with its headroom."""
    capacity = sale.spec.capacity
    return floor_for(capacity.expected_viewers, capacity.headroom_percent, per_replica)


def fanout_floor(sale: FlashSale, per_replica: int, *, pod_start_seconds: float = 0.0) -> CapacityFloor:
    """The whole floor of the fan-out, cooldown included."""
    peak = peak_replicas(sale, per_replica)
    begins = epoch(sale.spec.starts_at) - lead_seconds(sale, peak, pod_start_seconds)
    return CapacityFloor("fanout", peak, begins, ends_at(sale))


def floor_of(sale: FlashSale, per_replica: int, now: float, *, pod_start_seconds: float = 0.0) -> int:
    """Fan-out pods that the sale holds now; 0 outside its window. After the sale they go step by step."""
    floor = fanout_floor(sale, per_replica, pod_start_seconds=pod_start_seconds)
    return held(sale, floor.replicas, begins=floor.begins, now=now)


def held(sale: FlashSale, amount: int, *, begins: float, now: float) -> int:
    """What the sale holds now of an amount (pods, or requests a second): all of it from `begins` to the end of the
    sale, less and less during the cooldown, nothing before and afterwards."""
    gone = sale.spec.state == SaleState.CANCELLED or sale.status.phase in NO_MORE_CAPACITY or sale.deleting
    if gone or not begins <= now < ends_at(sale):
        return 0
    cooldown = sale.spec.capacity.cooldown
    over = now - (_ended(sale) + seconds(cooldown.after))
    if over < 0:
        return amount
    interval = seconds(cooldown.interval)
    taken = 1 + int(over // interval) if interval else 100
    return max(0, amount - taken * ceil(amount * cooldown.step_percent / 100))


def ends_at(sale: FlashSale) -> float:
    """When the cooldown is over."""
    cooldown = sale.spec.capacity.cooldown
    steps = ceil(100 / cooldown.step_percent) - 1
    return _ended(sale) + seconds(cooldown.after) + steps * seconds(cooldown.interval)


def moments(sale: FlashSale, per_replica: int, *, pod_start_seconds: float) -> list[float]:
    """Every time at which the floor changes by itself."""
    floor = fanout_floor(sale, per_replica, pod_start_seconds=pod_start_seconds)
    cooldown = sale.spec.capacity.cooldown
    first = _ended(sale) + seconds(cooldown.after)
    steps = [first + step * seconds(cooldown.interval) for step in range(ceil(100 / cooldown.step_percent))]
    return [floor.begins, *steps, floor.ends]


def _ended(sale: FlashSale) -> float:
    return epoch_or_none(sale.status.ended_at) or epoch(sale.spec.ends_at)
