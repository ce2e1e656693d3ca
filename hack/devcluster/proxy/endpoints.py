"""Where the pods of a Service port listen now, picked in turn.

Trap avoided: a round robin that restarts at the first pod whenever the list changes overloads that pod.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from hack.devcluster.objects import Obj, labels_of, namespace_of, spec_of

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ServicePort:
    """Identity of one port of one Service."""

    namespace: str
    service: str
    port: str
    """The port's name, empty when it has none."""


def ready_addresses(slices: Iterable[Obj], port: str) -> list[Address]:
    """Addresses of ready endpoints; when none is ready, of terminating ones that still serve (as kube-proxy does)."""
    ready: list[Address] = []
    draining: list[Address] = []
    for entry in slices:
        number = next((int(one["port"]) for one in entry.get("ports") or [] if (one.get("name") or "") == port), None)
        if number is None:
            continue
        for endpoint in entry.get("endpoints") or []:
            conditions = endpoint.get("conditions") or {}
            target = ready if conditions.get("ready", True) else draining
            if conditions.get("ready", True) or (conditions.get("serving") and conditions.get("terminating")):
                target.extend((address, number) for address in endpoint.get("addresses") or [])
    return ready or draining


def slice_service(entry: Obj) -> tuple[str, str]:
    """(namespace, Service name) of an EndpointSlice."""
    return namespace_of(entry), labels_of(entry).get("kubernetes.io/service-name", "")


def port_name(service: Obj, reference: Obj) -> str | None:
    """Name of the Service port that an Ingress back end means ({name} or {number}), None when there is none."""
    for port in spec_of(service).get("ports") or []:
        if reference.get("name"):
            if port.get("name") == reference["name"]:
                return str(port["name"])
        elif int(port["port"]) == int(reference.get("number") or 0):
            return str(port.get("name") or "")
    return None


class Directory:
    """Ready addresses by Service port, kept from EndpointSlices."""

    def __init__(self) -> None:
        self._slices: dict[tuple[str, str], dict[str, Obj]] = {}
        self._ready: dict[ServicePort, list[Address]] = {}
        self._turn: dict[ServicePort, int] = {}

    def on_slice(self, old: Obj | None, new: Obj | None) -> None:
        """Handler of an EndpointSlice informer."""
        entry = new or old
        if entry is None:
            return
        owner = slice_service(entry)
        held = self._slices.setdefault(owner, {})
        name = str(entry["metadata"]["name"])
        if new is None:
            held.pop(name, None)
        else:
            held[name] = new
        for port in [key for key in self._ready if (key.namespace, key.service) == owner]:
            del self._ready[port]
        if not held:
            del self._slices[owner]

    def ready(self, port: ServicePort) -> list[Address]:
        found = self._ready.get(port)
        if found is None:
            found = ready_addresses(self._slices.get((port.namespace, port.service), {}).values(), port.port)
            self._ready[port] = found
        return found

    def pick(self, port: ServicePort) -> Address | None:
        """The next address in turn, None when no endpoint is ready."""
        found = self.ready(port)
        if not found:
            return None
        turn = self._turn.get(port, 0)
        self._turn[port] = turn + 1
        return found[turn % len(found)]
