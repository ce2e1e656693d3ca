"""EndpointSlices and Endpoints of Services with a selector.

One slice a Service: a node of this size never needs a second. Trap avoided: a terminating pod stays in the slice with
ready=false and serving as its readiness says, so that a proxy can drain it.
"""

from collections.abc import Sequence

from hack.devcluster.client import Conflict
from hack.devcluster.controllers.base import Controller
from hack.devcluster.objects import (
    Obj,
    is_deleting,
    key_of,
    labels_of,
    matches_labels,
    name_of,
    namespace_of,
    object_reference,
    owner_reference,
    pod_ready,
    spec_of,
    status_of,
)
from hack.devcluster.resources import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES

MANAGER = "endpointslice-controller.haat"


def target_port(pod: Obj, port: Obj) -> int | None:
    """The pod's number for a Service port, None when the pod has no port of that name."""
    target = port.get("targetPort")
    if target is None or target == "":
        return int(port["port"])
    if isinstance(target, int) or str(target).isdigit():
        return int(target) or int(port["port"])
    for container in [*(spec_of(pod).get("containers") or []), *(spec_of(pod).get("initContainers") or [])]:
        for entry in container.get("ports") or []:
            same_protocol = (entry.get("protocol") or "TCP") == (port.get("protocol") or "TCP")
            if entry.get("name") == target and same_protocol:
                return int(entry["containerPort"])
    return None


def selected_pods(service: Obj, pods: Sequence[Obj]) -> list[Obj]:
    """Pods with an address that the Service selects and that are not finished, in the order of their names."""
    selector = spec_of(service).get("selector") or {}
    if not selector:
        return []
    found = [
        pod
        for pod in pods
        if matches_labels(selector, labels_of(pod))
        and status_of(pod).get("podIP")
        and status_of(pod).get("phase") not in ("Succeeded", "Failed")
    ]
    return sorted(found, key=name_of)


def build_slice(service: Obj, pods: Sequence[Obj]) -> Obj:
    """The EndpointSlice of a Service."""
    publish = bool(spec_of(service).get("publishNotReadyAddresses"))
    chosen = selected_pods(service, pods)
    endpoints = []
    for pod in chosen:
        serving, leaving = pod_ready(pod), is_deleting(pod)
        endpoint: Obj = {
            "addresses": [status_of(pod)["podIP"]],
            "conditions": {
                "ready": publish or (serving and not leaving),
                "serving": serving,
                "terminating": leaving,
            },
            "targetRef": object_reference(pod, PODS),
            "nodeName": spec_of(pod).get("nodeName"),
        }
        if spec_of(pod).get("hostname"):
            endpoint["hostname"] = spec_of(pod)["hostname"]
        endpoints.append(endpoint)
    return {
        "metadata": {
            "name": f"{name_of(service)}-haat",
            "namespace": namespace_of(service),
            "labels": {
                **labels_of(service),
                "kubernetes.io/service-name": name_of(service),
                "endpointslice.kubernetes.io/managed-by": MANAGER,
            },
            "ownerReferences": [owner_reference(service, SERVICES)],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": _slice_ports(service, chosen),
    }


def _slice_ports(service: Obj, pods: Sequence[Obj]) -> list[Obj]:
    ports = []
    for port in spec_of(service).get("ports") or []:
        numbers = [number for number in (target_port(pod, port) for pod in pods) if number is not None]
        if numbers or not pods:
            number = numbers[0] if numbers else port["port"]
            protocol = port.get("protocol") or "TCP"
            ports.append({"name": port.get("name") or "", "port": int(number), "protocol": protocol})
    return ports


def build_endpoints(service: Obj, entry: Obj) -> Obj:
    """The older Endpoints object with the same content."""
    ready, unready = [], []
    for endpoint in entry["endpoints"]:
        address = {"ip": endpoint["addresses"][0], "targetRef": endpoint["targetRef"], "nodeName": endpoint["nodeName"]}
        if endpoint["conditions"]["ready"]:
            ready.append(address)
        elif not endpoint["conditions"]["terminating"]:
            unready.append(address)
    subset: Obj = {"ports": [{key: value for key, value in port.items() if value != ""} for port in entry["ports"]]}
    if ready:
        subset["addresses"] = ready
    if unready:
        subset["notReadyAddresses"] = unready
    return {
        "metadata": {"name": name_of(service), "namespace": namespace_of(service), "labels": labels_of(service)},
        "subsets": [subset] if ready or unready else [],
    }


class EndpointsController(Controller):
    kind = SERVICES

    def subscribe(self) -> None:
        self.caches.of(ENDPOINT_SLICES)
        self.caches.of(ENDPOINTS)
        self.caches.of(PODS).on_change(self._on_pod)

    def _on_pod(self, old: Obj | None, new: Obj | None) -> None:
        pod = new or old
        if pod is None:
            return
        for service in self.objects.in_namespace(namespace_of(pod)):
            selector = spec_of(service).get("selector")
            if selector and any(matches_labels(selector, labels_of(entry)) for entry in (old, new) if entry):
                self.queue.add(key_of(service))

    async def reconcile(self, obj: Obj) -> float | None:
        if is_deleting(obj) or not spec_of(obj).get("selector") or spec_of(obj).get("type") == "ExternalName":
            return None
        entry = build_slice(obj, self.caches.of(PODS).in_namespace(namespace_of(obj)))
        known = self.caches.of(ENDPOINT_SLICES).get(key_of(entry))
        if known is None:
            try:
                await self.create(ENDPOINT_SLICES, entry)
            except Conflict:
                found = await self.client.get(ENDPOINT_SLICES, *key_of(entry))
                self.caches.of(ENDPOINT_SLICES).observe(found)
                return 0.0
        elif known.get("endpoints") != entry["endpoints"] or known.get("ports") != entry["ports"]:
            await self.patch(ENDPOINT_SLICES, known, {"endpoints": entry["endpoints"], "ports": entry["ports"]})
        await self._mirror(obj, entry)
        return None

    async def _mirror(self, service: Obj, entry: Obj) -> None:
        wanted = build_endpoints(service, entry)
        known = self.caches.of(ENDPOINTS).get(key_of(wanted))
        if known is None:
            # Services take the Endpoints of their name along when they go.
            wanted["metadata"]["ownerReferences"] = [owner_reference(service, SERVICES)]
            try:
                await self.create(ENDPOINTS, wanted)
            except Conflict:
                self.caches.of(ENDPOINTS).observe(await self.client.get(ENDPOINTS, *key_of(wanted)))
        elif (known.get("subsets") or []) != wanted["subsets"]:
            await self.patch(ENDPOINTS, known, {"subsets": wanted["subsets"]})
