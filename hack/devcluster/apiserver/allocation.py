"""Service addresses: cluster IPs from the service range, node ports that are free on this machine.

Both are derived from the stored Services, so nothing is leaked by a crash; a port is tested by binding it once.
"""

from __future__ import annotations

import ipaddress
import random
import socket
from typing import Any

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.store import Store, Stored

Obj = dict[str, Any]
_NODE_PORTS = (30000, 32767)
_TRIES = 200
_KEPT = 256


class ServiceAllocator:
    """Fills `clusterIP(s)` and `nodePort`s of a Service."""

    def __init__(self, store: Store, cidr: str) -> None:
        self._store = store
        self._network = ipaddress.ip_network(cidr)
        self._next = 0
        self._held: dict[str, tuple[int, str, tuple[tuple[int, str], ...]]] = {}

    def _used(self, namespace: str, name: str) -> tuple[set[str], set[tuple[int, str]]]:
        ips: set[str] = set()
        ports: set[tuple[int, str]] = set()
        for stored in self._store.collection("services").scan():
            if (stored.namespace, stored.name) == (namespace, name):
                continue
            held = self._held.get(stored.uid)
            if held is None or held[0] != stored.version:
                held = self._held[stored.uid] = (stored.version, *_taken(stored))
            ips.add(held[1])
            ports.update(held[2])
        if len(self._held) > 2 * len(ips) + _KEPT:
            self._held.clear()
        return ips, ports

    def fill(self, obj: Obj, old: Obj | None) -> None:
        """Allocate in place. 422 for an address or port that is out of range or taken."""
        spec = obj["spec"]
        if spec.get("type") == "ExternalName":
            for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                spec.pop(name, None)
            return
        if old is not None:
            self._carry(spec, old.get("spec") or {})
        used_ips, used_ports = self._used(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        if not spec.get("clusterIP"):
            given = spec.get("clusterIPs") or []
            spec["clusterIP"] = given[0] if given else self._free_ip(used_ips)
        elif spec["clusterIP"] != "None" and spec["clusterIP"] in used_ips:
            cause = err.invalid_value(
                "spec.clusterIPs", [spec["clusterIP"]], "failed to allocate IP: provided IP is already allocated"
            )
            raise err.invalid("Service", "", obj["metadata"]["name"], [cause])
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        _families(spec)
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            self._node_ports(obj, used_ports)
        else:
            for port in spec.get("ports") or ():
                port.pop("nodePort", None)

    def _carry(self, spec: Obj, old: Obj) -> None:
        """An update without address or node ports keeps those that were given."""
        if not spec.get("clusterIP") and old.get("clusterIP") and old.get("type") != "ExternalName":
            spec["clusterIP"] = old["clusterIP"]
            spec.setdefault("clusterIPs", old.get("clusterIPs") or [old["clusterIP"]])
        for name in ("ipFamilies", "ipFamilyPolicy"):
            if name in old:
                spec.setdefault(name, old[name])
        before = {
            (port.get("port"), port.get("protocol", "TCP")): port.get("nodePort") for port in old.get("ports") or ()
        }
        for port in spec.get("ports") or ():
            known = before.get((port.get("port"), port.get("protocol", "TCP")))
            if known and not port.get("nodePort"):
                port["nodePort"] = known

    def _free_ip(self, used: set[str]) -> str:
        size = self._network.num_addresses
        for _ in range(size):
            self._next = self._next % (size - 2) + 1
            found = str(self._network[self._next])
            if found not in used:
                return found
        raise err.ApiError(500, "InternalError", "failed to allocate a serviceIP: range is full")

    def _node_ports(self, obj: Obj, used: set[tuple[int, str]]) -> None:
        for at, port in enumerate(obj["spec"].get("ports") or ()):
            protocol = port.get("protocol", "TCP")
            asked = port.get("nodePort")
            if asked:
                if not 1 <= asked <= 65535 or (asked, protocol) in used:
                    why = (
                        "provided port is already allocated"
                        if 1 <= asked <= 65535
                        else "provided port is not in the valid range"
                    )
                    cause = err.invalid_value(f"spec.ports[{at}].nodePort", asked, why)
                    raise err.invalid("Service", "", obj["metadata"]["name"], [cause])
            else:
                port["nodePort"] = _free_port(used, protocol)
            used.add((port["nodePort"], protocol))


def _taken(stored: Stored) -> tuple[str, tuple[tuple[int, str], ...]]:
    """Address and node ports of a Service; read once a version, since each new Service looks at all others."""
    spec = stored.load().get("spec") or {}
    found = [
        (port["nodePort"], port.get("protocol", "TCP")) for port in spec.get("ports") or () if port.get("nodePort")
    ]
    return spec.get("clusterIP", ""), tuple(found)


def _families(spec: Obj) -> None:
    """A headless Service without a selector may have endpoints of both families."""
    if spec["clusterIP"] == "None" and not spec.get("selector"):
        spec.setdefault("ipFamilies", ["IPv4", "IPv6"])
        spec.setdefault("ipFamilyPolicy", "RequireDualStack")
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def _free_port(used: set[tuple[int, str]], protocol: str) -> int:
    kind = socket.SOCK_DGRAM if protocol == "UDP" else socket.SOCK_STREAM
    for _ in range(_TRIES):
        port = random.randint(*_NODE_PORTS)
        if (port, protocol) in used:
            continue
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise err.ApiError(500, "InternalError", "failed to allocate a nodePort: no free port found")
