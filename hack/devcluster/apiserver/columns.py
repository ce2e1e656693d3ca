"""The columns that `kubectl get` shows for built-in kinds: heads with priority (1 = only wide) and a function to the
cells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hack.devcluster.apiserver import eventapi
from hack.devcluster.apiserver.printcells import (
    access_modes,
    completions,
    container_images,
    container_names,
    external_ips,
    ingress_address,
    ingress_hosts,
    ingress_ports,
    job_duration,
    job_status,
    metric_targets,
    node_address,
    node_roles,
    node_status,
    node_version,
    pod_ready,
    pod_restarts,
    pod_status,
    quota_usage,
    selector_text,
    service_ports,
    slice_endpoints,
    slice_ports,
    subset_addresses,
)

Obj = dict[str, Any]
Age = Callable[[str | None], str]


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind's table."""

    heads: tuple[tuple[str, int], ...]
    cells: Callable[[Obj, Age], list[Any]]


def core_event(obj: Obj) -> Obj:
    """Events print alike from both APIs."""
    return eventapi.to_core(obj) if str(obj.get("apiVersion", "")).startswith("events.k8s.io") else obj


def _heads(text: str, wide: str = "") -> tuple[tuple[str, int], ...]:
    return tuple((name, 0) for name in text.split(",")) + tuple((name, 1) for name in wide.split(",") if name)


def _name(obj: Obj) -> str:
    return str(obj["metadata"]["name"])


def _made(obj: Obj, age: Age) -> str:
    return age(obj["metadata"].get("creationTimestamp"))


def _spec(obj: Obj) -> Obj:
    return obj.get("spec") or {}


def _status(obj: Obj) -> Obj:
    return obj.get("status") or {}


def _pod(obj: Obj, age: Age) -> list[Any]:
    spec, status = _spec(obj), _status(obj)
    gates = spec.get("readinessGates") or []
    ok = {item.get("type") for item in status.get("conditions") or () if item.get("status") == "True"}
    passed = f"{sum(gate.get('conditionType') in ok for gate in gates)}/{len(gates)}" if gates else "<none>"
    return [
        *[_name(obj), pod_ready(obj), pod_status(obj), pod_restarts(obj, age), _made(obj, age)],
        *[status.get("podIP") or "<none>", spec.get("nodeName") or "<none>"],
        *[status.get("nominatedNodeName") or "<none>", passed],
    ]


def _template(obj: Obj) -> list[str]:
    spec = (_spec(obj).get("template") or {}).get("spec") or {}
    return [container_names(spec), container_images(spec)]


def _deployment(obj: Obj, age: Age) -> list[Any]:
    status = _status(obj)
    ready = f"{status.get('readyReplicas', 0)}/{_spec(obj).get('replicas', 1)}"
    row = [_name(obj), ready, status.get("updatedReplicas", 0), status.get("availableReplicas", 0), _made(obj, age)]
    return [*row, *_template(obj), selector_text(_spec(obj).get("selector"))]


def _replica_set(obj: Obj, age: Age) -> list[Any]:
    status = _status(obj)
    row = [
        _name(obj),
        _spec(obj).get("replicas", 1),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        _made(obj, age),
    ]
    return [*row, *_template(obj), selector_text(_spec(obj).get("selector"))]


def _stateful_set(obj: Obj, age: Age) -> list[Any]:
    ready = f"{_status(obj).get('readyReplicas', 0)}/{_spec(obj).get('replicas', 1)}"
    return [_name(obj), ready, _made(obj, age), *_template(obj)]


def _daemon_set(obj: Obj, age: Age) -> list[Any]:
    status = _status(obj)
    names = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    node = ",".join(
        f"{k}={v}"
        for k, v in (((_spec(obj).get("template") or {}).get("spec") or {}).get("nodeSelector") or {}).items()
    )
    counts = [status.get(name, 0) for name in names]
    return [
        _name(obj),
        *counts,
        node or "<none>",
        _made(obj, age),
        *_template(obj),
        selector_text(_spec(obj).get("selector")),
    ]


def _job(obj: Obj, age: Age) -> list[Any]:
    row = [_name(obj), job_status(obj), completions(obj), job_duration(obj, age), _made(obj, age)]
    return [*row, *_template(obj), selector_text(_spec(obj).get("selector"))]


def _cron_job(obj: Obj, age: Age) -> list[Any]:
    spec, status = _spec(obj), _status(obj)
    last = age(status["lastScheduleTime"]) if status.get("lastScheduleTime") else "<none>"
    job = ((spec.get("jobTemplate") or {}).get("spec") or {}).get("template", {}).get("spec") or {}
    row = [_name(obj), spec.get("schedule"), spec.get("timeZone") or "<none>", str(spec.get("suspend", False))]
    return [
        *row,
        len(status.get("active") or ()),
        last,
        _made(obj, age),
        container_names(job),
        container_images(job),
        "<none>",
    ]


def _service(obj: Obj, age: Age) -> list[Any]:
    spec = _spec(obj)
    row = [
        _name(obj),
        spec.get("type", "ClusterIP"),
        spec.get("clusterIP") or "<none>",
        external_ips(obj),
        service_ports(spec),
    ]
    return [*row, _made(obj, age), selector_text({"matchLabels": spec.get("selector") or {}})]


def _ingress(obj: Obj, age: Age) -> list[Any]:
    spec = _spec(obj)
    return [
        _name(obj),
        spec.get("ingressClassName") or "<none>",
        ingress_hosts(spec),
        ingress_address(obj),
        ingress_ports(spec),
        _made(obj, age),
    ]


def _event(obj: Obj, age: Age) -> list[Any]:
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    series = obj.get("series") or {}
    last = series.get("lastObservedTime") or obj.get("lastTimestamp") or first
    target = obj.get("involvedObject") or {}
    source = obj.get("source") or {}
    where = source.get("component") or obj.get("reportingComponent") or ""
    who = f"{where}, {source['host']}" if source.get("host") else where
    count = series.get("count") or obj.get("count") or 1
    row = [
        age(last),
        obj.get("type"),
        obj.get("reason"),
        f"{str(target.get('kind', '')).lower()}/{target.get('name', '')}",
    ]
    return [*row, target.get("fieldPath", ""), who, str(obj.get("message", "")).strip(), age(first), count, _name(obj)]


def _node(obj: Obj, age: Age) -> list[Any]:
    info = _status(obj).get("nodeInfo") or {}
    row = [_name(obj), node_status(obj), node_roles(obj), _made(obj, age), node_version(obj)]
    addresses = [node_address(obj, "InternalIP"), node_address(obj, "ExternalIP")]
    return [
        *row,
        *addresses,
        *(info.get(name) or "<unknown>" for name in ("osImage", "kernelVersion", "containerRuntimeVersion")),
    ]


def _claim(obj: Obj, age: Age) -> list[Any]:
    spec, status = _spec(obj), _status(obj)
    row = [
        _name(obj),
        status.get("phase", ""),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", ""),
    ]
    return [
        *row,
        access_modes(status),
        spec.get("storageClassName", ""),
        "<unset>",
        _made(obj, age),
        spec.get("volumeMode", "<unset>"),
    ]


def _volume(obj: Obj, age: Age) -> list[Any]:
    spec, claim = _spec(obj), _spec(obj).get("claimRef") or {}
    bound = f"{claim.get('namespace')}/{claim.get('name')}" if claim else ""
    row = [
        _name(obj),
        (spec.get("capacity") or {}).get("storage", ""),
        access_modes(spec),
        spec.get("persistentVolumeReclaimPolicy"),
    ]
    return [
        *row,
        _status(obj).get("phase", ""),
        bound,
        spec.get("storageClassName", ""),
        _status(obj).get("reason", ""),
        _made(obj, age),
    ]


def _autoscaler(obj: Obj, age: Age) -> list[Any]:
    spec, ref = _spec(obj), _spec(obj).get("scaleTargetRef") or {}
    row = [
        _name(obj),
        f"{ref.get('kind')}/{ref.get('name')}",
        metric_targets(obj),
        str(spec.get("minReplicas", "<unset>")),
    ]
    return [*row, spec.get("maxReplicas"), _status(obj).get("currentReplicas", 0), _made(obj, age)]


def _budget(obj: Obj, age: Age) -> list[Any]:
    spec = _spec(obj)
    row = [_name(obj), str(spec.get("minAvailable", "N/A")), str(spec.get("maxUnavailable", "N/A"))]
    return [*row, _status(obj).get("disruptionsAllowed", 0), _made(obj, age)]


def _simple(*paths: str) -> Callable[[Obj, Age], list[Any]]:
    def cells(obj: Obj, age: Age) -> list[Any]:
        row: list[Any] = [_name(obj)]
        for path in paths:
            value: Any = obj
            for part in path.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            row.append(
                len(value) if path in ("data", "secrets") and value else 0 if path in ("data", "secrets") else value
            )
        return [*row, _made(obj, age)]

    return cells


def _binding(obj: Obj, age: Age) -> list[Any]:
    ref, subjects = obj.get("roleRef") or {}, obj.get("subjects") or []
    groups: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for item in subjects:
        text = (
            f"{item.get('namespace')}/{item.get('name')}"
            if item.get("kind") == "ServiceAccount"
            else item.get("name", "")
        )
        groups.setdefault(item.get("kind", ""), []).append(text)
    wide = [", ".join(groups[name]) for name in ("User", "Group", "ServiceAccount")]
    return [_name(obj), f"{ref.get('kind')}/{ref.get('name')}", _made(obj, age), *wide]


def _rbac(group: str) -> str:
    return f"{group}.rbac.authorization.k8s.io"


def _role(obj: Obj, age: Age) -> list[Any]:
    return [_name(obj), obj["metadata"].get("creationTimestamp")]


_WIDE = "Containers,Images,Selector"
_BINDING = Layout(_heads("Name,Role,Age", "Users,Groups,ServiceAccounts"), _binding)
BUILTIN: dict[str, Layout] = {
    "pods": Layout(_heads("Name,Ready,Status,Restarts,Age", "IP,Node,Nominated Node,Readiness Gates"), _pod),
    "deployments.apps": Layout(_heads("Name,Ready,Up-to-date,Available,Age", _WIDE), _deployment),
    "replicasets.apps": Layout(_heads("Name,Desired,Current,Ready,Age", _WIDE), _replica_set),
    "statefulsets.apps": Layout(_heads("Name,Ready,Age", "Containers,Images"), _stateful_set),
    "daemonsets.apps": Layout(
        _heads("Name,Desired,Current,Ready,Up-to-date,Available,Node Selector,Age", _WIDE), _daemon_set
    ),
    "jobs.batch": Layout(_heads("Name,Status,Completions,Duration,Age", _WIDE), _job),
    "cronjobs.batch": Layout(_heads("Name,Schedule,Timezone,Suspend,Active,Last Schedule,Age", _WIDE), _cron_job),
    "services": Layout(_heads("Name,Type,Cluster-IP,External-IP,Port(s),Age", "Selector"), _service),
    "endpoints": Layout(
        _heads("Name,Endpoints,Age"), lambda obj, age: [_name(obj), subset_addresses(obj), _made(obj, age)]
    ),
    "endpointslices.discovery.k8s.io": Layout(
        _heads("Name,AddressType,Ports,Endpoints,Age"),
        lambda obj, age: [_name(obj), obj.get("addressType"), slice_ports(obj), slice_endpoints(obj), _made(obj, age)],
    ),
    "ingresses.networking.k8s.io": Layout(_heads("Name,Class,Hosts,Address,Ports,Age"), _ingress),
    "events": Layout(
        (
            *_heads("Last Seen,Type,Reason,Object"),
            *(("Subobject", 1), ("Source", 1), ("Message", 0), ("First Seen", 1), ("Count", 1), ("Name", 1)),
        ),
        _event,
    ),
    "nodes": Layout(
        _heads("Name,Status,Roles,Age,Version", "Internal-IP,External-IP,OS-Image,Kernel-Version,Container-Runtime"),
        _node,
    ),
    "namespaces": Layout(_heads("Name,Status,Age"), _simple("status.phase")),
    "configmaps": Layout(_heads("Name,Data,Age"), _simple("data")),
    "secrets": Layout(
        _heads("Name,Type,Data,Age"),
        lambda obj, age: [_name(obj), obj.get("type"), len(obj.get("data") or {}), _made(obj, age)],
    ),
    "serviceaccounts": Layout(_heads("Name,Secrets,Age"), _simple("secrets")),
    "persistentvolumeclaims": Layout(
        _heads("Name,Status,Volume,Capacity,Access Modes,StorageClass,VolumeAttributesClass,Age", "VolumeMode"), _claim
    ),
    "persistentvolumes": Layout(
        _heads("Name,Capacity,Access Modes,Reclaim Policy,Status,Claim,StorageClass,Reason,Age"), _volume
    ),
    "horizontalpodautoscalers.autoscaling": Layout(
        _heads("Name,Reference,Targets,MinPods,MaxPods,Replicas,Age"), _autoscaler
    ),
    "resourcequotas": Layout(
        _heads("Name,Request,Limit,Age"),
        lambda obj, age: [_name(obj), quota_usage(obj, limits=False), quota_usage(obj, limits=True), _made(obj, age)],
    ),
    "poddisruptionbudgets.policy": Layout(
        _heads("Name,Min Available,Max Unavailable,Allowed Disruptions,Age"), _budget
    ),
    "leases.coordination.k8s.io": Layout(_heads("Name,Holder,Age"), _simple("spec.holderIdentity")),
    "priorityclasses.scheduling.k8s.io": Layout(
        _heads("Name,Value,Global-Default,Age"), _simple("value", "globalDefault")
    ),
    "ingressclasses.networking.k8s.io": Layout(_heads("Name,Controller,Age"), _simple("spec.controller")),
    "networkpolicies.networking.k8s.io": Layout(
        _heads("Name,Pod-Selector,Age"),
        lambda obj, age: [_name(obj), selector_text(_spec(obj).get("podSelector")), _made(obj, age)],
    ),
    "storageclasses.storage.k8s.io": Layout(
        _heads("Name,Provisioner,ReclaimPolicy,VolumeBindingMode,Age"),
        _simple("provisioner", "reclaimPolicy", "volumeBindingMode"),
    ),
    "controllerrevisions.apps": Layout(_heads("Name,Revision,Age"), _simple("revision")),
    _rbac("roles"): Layout(_heads("Name,Created At"), _role),
    _rbac("clusterroles"): Layout(_heads("Name,Created At"), _role),
    _rbac("rolebindings"): _BINDING,
    _rbac("clusterrolebindings"): _BINDING,
}
