"""Ingress objects merged into one table of routes. Pure.

Order of preference, as networking.k8s.io/v1 says: the host rule before the rule for any host, an exact path before a
prefix, a longer prefix before a shorter one; prefixes match whole path elements.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hack.devcluster.objects import Obj, annotations_of, meta, name_of, namespace_of, spec_of
from hack.devcluster.proxy.endpoints import ServicePort, port_name

CLASS = "haat"
_OLD_CLASS_ANNOTATION = "kubernetes.io/ingress.class"


@dataclass(slots=True)
class _HostRoutes:
    exact: dict[str, ServicePort | None] = field(default_factory=dict)
    prefix: dict[str, ServicePort | None] = field(default_factory=dict)

    def find(self, path: str) -> tuple[bool, ServicePort | None]:
        """(matched, target)."""
        if path in self.exact:
            return True, self.exact[path]
        candidate = path.rstrip("/")
        while True:
            if candidate in self.prefix:
                return True, self.prefix[candidate]
            if not candidate:
                return False, None
            candidate = candidate.rpartition("/")[0]


@dataclass(slots=True)
class RouteTable:
    """Find the Service port for a host and a path."""

    hosts: dict[str, _HostRoutes] = field(default_factory=dict)
    default: ServicePort | None = None

    def match(self, host: str, path: str) -> tuple[bool, ServicePort | None]:
        """(matched, target); matched with no target means that the rule's Service or port is missing."""
        name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
        name = name.lower()
        wildcard = "*." + name.partition(".")[2]
        for key in (name, wildcard, ""):
            routes = self.hosts.get(key)
            if routes is not None:
                matched, target = routes.find(path)
                if matched:
                    return True, target
        return self.default is not None, self.default


def is_ours(ingress: Obj) -> bool:
    """Class `haat`, or none at all."""
    named = spec_of(ingress).get("ingressClassName") or annotations_of(ingress).get(_OLD_CLASS_ANNOTATION)
    return named in (None, "", CLASS)


def build_routes(ingresses: Iterable[Obj], service: Callable[[str, str], Obj | None]) -> RouteTable:
    """Merge; when two Ingresses claim one path the older one keeps it."""
    table = RouteTable()
    ours = [ingress for ingress in ingresses if is_ours(ingress)]
    for ingress in sorted(ours, key=lambda entry: (str(meta(entry).get("creationTimestamp")), name_of(entry))):
        namespace = namespace_of(ingress)
        default = spec_of(ingress).get("defaultBackend")
        if default and table.default is None:
            table.default = _target(namespace, default, service)
        for rule in spec_of(ingress).get("rules") or []:
            routes = table.hosts.setdefault(str(rule.get("host") or "").lower(), _HostRoutes())
            for entry in (rule.get("http") or {}).get("paths") or []:
                target = _target(namespace, entry.get("backend") or {}, service)
                path = entry.get("path") or "/"
                if entry.get("pathType") == "Exact":
                    routes.exact.setdefault(path, target)
                else:
                    routes.prefix.setdefault(path.rstrip("/"), target)
    return table


def _target(namespace: str, backend: Obj, service: Callable[[str, str], Obj | None]) -> ServicePort | None:
    reference = backend.get("service") or {}
    found = service(namespace, reference.get("name", ""))
    if found is None:
        return None
    port = port_name(found, reference.get("port") or {})
    return None if port is None else ServicePort(namespace, reference["name"], port)
