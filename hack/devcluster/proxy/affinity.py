"""sessionAffinity ClientIP: a client keeps its pod until the pod goes or the client has been quiet for the time-out.

Trap avoided: the memory of clients must not grow for ever; the one that has been quiet longest is forgotten first.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from hack.devcluster.objects import Obj, spec_of
from hack.devcluster.proxy.endpoints import Address, Directory, ServicePort

_DEFAULT_SECONDS = 10_800.0
_MOST_CLIENTS = 65_536


def affinity_seconds(service: Obj | None) -> float | None:
    """The time-out of a Service with affinity, None for one without."""
    if service is None or spec_of(service).get("sessionAffinity") != "ClientIP":
        return None
    config = (spec_of(service).get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return float(config.get("timeoutSeconds") or _DEFAULT_SECONDS)


class Affinity:
    """Chooses an endpoint for a client."""

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._clock = clock
        self._held: OrderedDict[tuple[ServicePort, str], tuple[Address, float]] = OrderedDict()

    def pick(self, target: ServicePort, client: str, seconds: float | None, *, anew: bool = False) -> Address | None:
        """The client's endpoint; the next in turn without affinity, after the time-out or when asked for anew."""
        if seconds is None:
            return self._directory.pick(target)
        key, now = (target, client), self._clock()
        address, when = self._held.pop(key, (("", 0), 0.0))
        if anew or now - when >= seconds or address not in self._directory.ready(target):
            found = self._directory.pick(target)
            if found is None:
                return None
            address = found
        self._held[key] = (address, now)
        while len(self._held) > _MOST_CLIENTS:
            self._held.popitem(last=False)
        return address
