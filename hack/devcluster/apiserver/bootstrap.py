"""What exists from the start: the namespaces, the default ClusterRoles and the `kubernetes` Service."""

from __future__ import annotations

from typing import Any

from hack.devcluster.apiserver.calls import SYSTEM, Call
from hack.devcluster.apiserver.kinds import Registry
from hack.devcluster.apiserver.rest import Rest, run_now

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_RBAC = "rbac.authorization.k8s.io"
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_CORE = [
    *[
        "configmaps",
        "endpoints",
        "events",
        "persistentvolumeclaims",
        "pods",
        "pods/log",
        "pods/status",
        "serviceaccounts",
        "services",
    ],
    *["services/status", "limitranges", "resourcequotas", "resourcequotas/status", "namespaces"],
]
_GROUPS = {
    "apps": [
        "controllerrevisions",
        "daemonsets",
        "deployments",
        "deployments/scale",
        "replicasets",
        "replicasets/scale",
        "statefulsets",
        "statefulsets/scale",
    ],
    "batch": ["cronjobs", "jobs"],
    "autoscaling": ["horizontalpodautoscalers"],
    "networking.k8s.io": ["ingresses", "networkpolicies"],
    "policy": ["poddisruptionbudgets"],
    "discovery.k8s.io": ["endpointslices"],
    "coordination.k8s.io": ["leases"],
}


def _rule(groups: list[str], resources: list[str], verbs: list[str]) -> dict[str, Any]:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}


def _view() -> list[dict[str, Any]]:
    return [
        _rule([""], _CORE, _READ),
        *(_rule([group], names, _READ) for group, names in _GROUPS.items() if "lease" not in names[0]),
    ]


def _edit() -> list[dict[str, Any]]:
    writable = [
        name for name in _CORE if "/" not in name and name not in ("namespaces", "limitranges", "resourcequotas")
    ]
    return [
        _rule(
            [""],
            ["secrets", "pods/exec", "pods/attach", "pods/portforward", "services/proxy", "pods/proxy"],
            [*_READ, *_WRITE],
        ),
        _rule([""], ["pods/eviction", "serviceaccounts/token"], ["create"]),
        _rule([""], writable, _WRITE),
        *(_rule([group], names, [*_READ, *_WRITE]) for group, names in _GROUPS.items()),
    ]


def _admin() -> list[dict[str, Any]]:
    return [
        _rule([_RBAC], ["roles", "rolebindings"], [*_READ, *_WRITE]),
        _rule(["authorization.k8s.io"], ["localsubjectaccessreviews"], ["create"]),
    ]


def cluster_roles() -> list[dict[str, Any]]:
    """The default ClusterRoles."""
    everything = [_rule(["*"], ["*"], ["*"]), {"nonResourceURLs": ["*"], "verbs": ["*"]}]
    discovery = [
        *[
            "/api",
            "/api/*",
            "/apis",
            "/apis/*",
            "/healthz",
            "/livez",
            "/openapi",
            "/openapi/*",
            "/readyz",
            "/version",
            "/version/",
        ]
    ]
    reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]
    basic = [
        _rule(["authorization.k8s.io"], reviews, ["create"]),
        _rule(["authentication.k8s.io"], ["selfsubjectreviews"], ["create"]),
    ]
    plain = {
        "cluster-admin": everything,
        "system:discovery": [{"nonResourceURLs": discovery, "verbs": ["get"]}],
        "system:basic-user": basic,
        "system:auth-delegator": [
            _rule(["authentication.k8s.io"], ["tokenreviews"], ["create"]),
            _rule(["authorization.k8s.io"], ["subjectaccessreviews"], ["create"]),
        ],
    }
    roles = [_role(name, rules=rules) for name, rules in plain.items()]
    for name, rules, into in (("view", _view(), "edit"), ("edit", _edit(), "admin"), ("admin", _admin(), "")):
        label = {f"{_RBAC}/aggregate-to-{name}": "true"}
        roles.append(_role(f"system:aggregate-to-{name}", rules=rules, labels=label))
        up = {f"{_RBAC}/aggregate-to-{into}": "true"} if into else {}
        roles.append(_role(name, aggregate=label, labels=up))
    return roles


def _role(
    name: str, *, rules: Any = None, labels: dict[str, str] | None = None, aggregate: dict[str, str] | None = None
) -> dict[str, Any]:
    role: dict[str, Any] = {"metadata": {"name": name, "labels": {**_LABELS, **(labels or {})}}, "rules": rules or []}
    if aggregate:
        role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": aggregate}]}
    return role


def cluster_bindings() -> list[dict[str, Any]]:
    """The default ClusterRoleBindings."""
    groups = {
        "cluster-admin": "system:masters",
        "system:discovery": "system:authenticated",
        "system:basic-user": "system:authenticated",
    }
    return [
        {
            "metadata": {"name": name, "labels": dict(_LABELS)},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": group}],
        }
        for name, group in groups.items()
    ]


def ensure(rest: Rest, registry: Registry, *, address: str, port: int) -> None:
    """Create what is missing; the endpoints of the `kubernetes` Service follow the address."""
    for name in NAMESPACES:
        _ensure(rest, registry, "", "namespaces", "", {"metadata": {"name": name}})
    for role in cluster_roles():
        _ensure(rest, registry, _RBAC, "clusterroles", "", role)
    for binding in cluster_bindings():
        _ensure(rest, registry, _RBAC, "clusterrolebindings", "", binding)
    service = {
        "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"type": "ClusterIP", "ports": [{"name": "https", "port": 443, "targetPort": port}]},
    }
    _ensure(rest, registry, "", "services", "default", service)
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    mirrored = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    endpoint_slice = {
        "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes", **mirrored}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": ports,
    }
    endpoints = {
        "metadata": {"name": "kubernetes", "labels": mirrored},
        "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
    }
    _ensure(rest, registry, "discovery.k8s.io", "endpointslices", "default", endpoint_slice, renew=True)
    _ensure(rest, registry, "", "endpoints", "default", endpoints, renew=True)


def _ensure(
    rest: Rest,
    registry: Registry,
    group: str,
    plural: str,
    namespace: str,
    obj: dict[str, Any],
    *,
    renew: bool = False,
) -> None:
    resource = registry.find(group, "v1", plural)
    if resource is None:
        return
    name = obj["metadata"]["name"]
    call = Call(SYSTEM, resource, namespace=namespace, name=name, query={"fieldManager": "kube-apiserver"})
    stored = rest.store.collection(resource.store_key).get(namespace, name)
    if stored is None:
        run_now(rest.create(call, rest.fit(call, obj)))
    elif renew:
        run_now(rest.replace(call, stored, rest.fit(call, obj), partial=True))
