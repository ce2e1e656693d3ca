"""What a sale wants to stand: its room, and the services that it shares with others; and what of it may not."""

from dataclasses import dataclass

from operators.api import FlashSale
from operators.flashsale.observe import SaleObserved
from operators.flashsale.services import ServiceView, due
from operators.flashsale.sizing import fanout_floor, floor_of, peak_replicas


@dataclass(frozen=True, slots=True)
class Target:
    """A component, the pods that are wanted of it now, and those that are ready."""

    component: str
    desired: int
    ready: int
    words: str

    def stands(self, percent: int) -> bool:
        """Whether at least `percent` of it is ready."""
        return self.ready >= -(-self.desired * percent // 100)


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that may not become as large as the sale asks for. `shared`: nobody's stream can change that."""

    words: str
    shared: bool


def begins(sale: FlashSale, observed: SaleObserved) -> float:
    """When the sale starts to hold something; only with a stream."""
    per_replica = observed.stream.spec.fanout.connections_per_replica if observed.stream else 1
    room = fanout_floor(sale, per_replica, pod_start_seconds=observed.pod_start_seconds).begins
    return min([room, *(view.begins for view in observed.services)])


def targets(sale: FlashSale, observed: SaleObserved, now: float) -> list[Target]:
    """The room first, then each shared service that the sale holds now."""
    stream = observed.stream
    if stream is None:
        return []
    fanout = stream.spec.fanout
    floor = floor_of(sale, fanout.connections_per_replica, now, pod_start_seconds=observed.pod_start_seconds)
    desired = min(fanout.max_replicas, floor)
    ready = stream.status.fanout.ready_replicas if stream.status.fanout else 0
    room = Target("fanout", desired, ready, f"{ready} of {desired} fan-out pods are ready.")
    return [room, *(_service(view) for view in observed.services if due(view, sale, now))]


def limits(sale: FlashSale, observed: SaleObserved) -> list[Limit]:
    """Where the sale asks for more than there may be."""
    found = []
    if observed.stream is not None:
        fanout = observed.stream.spec.fanout
        peak = peak_replicas(sale, fanout.connections_per_replica)
        if peak > fanout.max_replicas:
            words = f"The room needs {peak} pods; fanout.maxReplicas of the stream is {fanout.max_replicas}."
            found.append(Limit(words, shared=False))
    for view in observed.services:
        if view.limited:
            name = view.service.value
            words = f"Sales need {view.needed} pods of {name}; capacity.{name}.max of the platform is {view.most}."
            found.append(Limit(words, shared=True))
    return found


def _service(view: ServiceView) -> Target:
    live, name = view.live, view.service.value
    words = live.problem or f"{live.ready} of {live.wanted} pods of {name} are ready"
    return Target(name, live.wanted, live.ready, f"{words}.")
