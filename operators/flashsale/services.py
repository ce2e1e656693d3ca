"""Floors of the shared services: commerce, edge and identity stand ready for the taps that all sales expect together.

Rooms belong to one stream each, so a sale's floor is enough there. These services are everybody's: what sales hold at
the same time adds up, and the number of replicas has one writer, the operators (`MANAGER`), who write just that field.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from operators.api import FlashSale
from operators.core.conditions import is_false
from operators.core.plan import Manifest, ObjectRef
from operators.core.platform import Platform, ServiceCapacity, SharedService
from operators.core.times import epoch
from operators.flashsale.sizing import ends_at, held, lead_seconds

MANAGER = "haat-operators-capacity"
"""Field manager of the replicas: apart from the one that owns whole objects, so that it never takes more than them."""


@dataclass(frozen=True, slots=True)
class LiveService:
    """A shared service after its floor was set: the floor, pods that are ready, and why it could not be set."""

    wanted: int
    ready: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A shared service as one sale sees it. `begins` is when the sale starts to hold its part of it, `needed` are the
    replicas that all sales want together when this one opens, `most` is what the platform allows."""

    service: SharedService
    begins: float
    needed: int
    most: int
    live: LiveService

    @property
    def limited(self) -> bool:
        """Whether the sale asks for more than there may be."""
        return self.needed > self.most


def peak_rps(sale: FlashSale) -> int:
    """Taps a second at the opening, with their headroom."""
    capacity = sale.spec.capacity
    return ceil(capacity.expected_peak_rps * (100 + capacity.headroom_percent) / 100)


def begins_at(sale: FlashSale, capacity: ServiceCapacity, pod_start_seconds: float) -> float:
    """When the sale starts to hold replicas of a service."""
    replicas = ceil(peak_rps(sale) / capacity.rps_per_replica)
    return epoch(sale.spec.starts_at) - lead_seconds(sale, replicas, pod_start_seconds)


def rps_held(sale: FlashSale, capacity: ServiceCapacity, now: float, *, pod_start_seconds: float = 0.0) -> int:
    """Taps a second that the sale holds of a service now. A sale that is not accepted never opens and holds nothing."""
    if not sale.spec.capacity.expected_peak_rps or is_false(sale.status.conditions, "Accepted"):
        return 0
    return held(sale, peak_rps(sale), begins=begins_at(sale, capacity, pod_start_seconds), now=now)


def needed(sales: Iterable[FlashSale], capacity: ServiceCapacity, now: float, *, pod_start_seconds: float = 0.0) -> int:
    """Replicas for all that sales hold at a moment, whatever the bounds say."""
    together = sum(rps_held(sale, capacity, now, pod_start_seconds=pod_start_seconds) for sale in sales)
    return ceil(together / capacity.rps_per_replica)


def wanted(sales: Iterable[FlashSale], capacity: ServiceCapacity, now: float, *, pod_start_seconds: float = 0.0) -> int:
    """Replicas within the bounds: what stands without a sale, or what sales need when that is more."""
    found = needed(sales, capacity, now, pod_start_seconds=pod_start_seconds)
    return max(capacity.min, min(found, capacity.max))


def target(service: SharedService, capacity: ServiceCapacity, platform: Platform) -> ObjectRef:
    """The object whose field carries the floor."""
    if capacity.autoscaler:
        return ObjectRef("autoscaling/v2", "HorizontalPodAutoscaler", platform.namespace, capacity.autoscaler)
    return deployment(service, platform)


def deployment(service: SharedService, platform: Platform) -> ObjectRef:
    """The service's Deployment."""
    return ObjectRef("apps/v1", "Deployment", platform.namespace, service.value)


def change(target: ObjectRef, live: Manifest, replicas: int) -> Manifest | None:
    """What to apply so that `live` has the floor: one field and no other; None when it has it."""
    field = "minReplicas" if target.kind == "HorizontalPodAutoscaler" else "replicas"
    if (live.get("spec") or {}).get(field) == replicas:
        return None
    metadata = {"name": target.name, "namespace": target.namespace}
    return {"apiVersion": target.api_version, "kind": target.kind, "metadata": metadata, "spec": {field: replicas}}


def views(
    sale: FlashSale,
    sales: Sequence[FlashSale],
    platform: Platform,
    live: Mapping[SharedService, LiveService],
    *,
    pod_start_seconds: float,
) -> tuple[ServiceView, ...]:
    """The shared services as `sale` sees them; none when it expects no taps. `sales` are all sales, itself too."""
    if not sale.spec.capacity.expected_peak_rps:
        return ()
    opening = epoch(sale.spec.starts_at)
    return tuple(
        ServiceView(
            service=service,
            begins=begins_at(sale, capacity, pod_start_seconds),
            needed=needed(sales, capacity, opening, pod_start_seconds=pod_start_seconds),
            most=max(capacity.min, capacity.max),
            live=live[service],
        )
        for service, capacity in sorted(platform.capacity.items())
        if service in live
    )


def due(view: ServiceView, sale: FlashSale, now: float) -> bool:
    """Whether the sale holds capacity of the service now."""
    return view.begins <= now < ends_at(sale)
