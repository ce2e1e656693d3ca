"""The columns that `kubectl get` shows for built-in kinds: heads with priority (1 = only wide) and a function to the
cells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hack.devcluster.apiserver import eventapi, eventrow, rows
from hack.devcluster.apiserver.printcells import (
    quota_usage,
    selector_text,
    slice_endpoints,
    slice_ports,
    subset_addresses,
)
from hack.devcluster.apiserver.rows import Age, made_at, name_of

Obj = dict[str, Any]


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


def _rbac(group: str) -> str:
    return f"{group}.rbac.authorization.k8s.io"


_WIDE = "Containers,Images,Selector"
_BINDING = Layout(_heads("Name,Role,Age", "Users,Groups,ServiceAccounts"), rows.binding)
BUILTIN: dict[str, Layout] = {
    "pods": Layout(_heads("Name,Ready,Status,Restarts,Age", "IP,Node,Nominated Node,Readiness Gates"), rows.pod),
    "deployments.apps": Layout(_heads("Name,Ready,Up-to-date,Available,Age", _WIDE), rows.deployment),
    "replicasets.apps": Layout(_heads("Name,Desired,Current,Ready,Age", _WIDE), rows.replica_set),
    "statefulsets.apps": Layout(_heads("Name,Ready,Age", "Containers,Images"), rows.stateful_set),
    "daemonsets.apps": Layout(
        _heads("Name,Desired,Current,Ready,Up-to-date,Available,Node Selector,Age", _WIDE), rows.daemon_set
    ),
    "jobs.batch": Layout(_heads("Name,Status,Completions,Duration,Age", _WIDE), rows.job),
    "cronjobs.batch": Layout(_heads("Name,Schedule,Timezone,Suspend,Active,Last Schedule,Age", _WIDE), rows.cron_job),
    "services": Layout(_heads("Name,Type,Cluster-IP,External-IP,Port(s),Age", "Selector"), rows.service),
    "endpoints": Layout(
        _heads("Name,Endpoints,Age"), lambda obj, age: [name_of(obj), subset_addresses(obj), made_at(obj, age)]
    ),
    "endpointslices.discovery.k8s.io": Layout(
        _heads("Name,AddressType,Ports,Endpoints,Age"),
        lambda obj, age: [
            name_of(obj),
            obj.get("addressType"),
            slice_ports(obj),
            slice_endpoints(obj),
            made_at(obj, age),
        ],
    ),
    "ingresses.networking.k8s.io": Layout(_heads("Name,Class,Hosts,Address,Ports,Age"), rows.ingress),
    "events": Layout(
        (
            *_heads("Last Seen,Type,Reason,Object"),
            *(("Subobject", 1), ("Source", 1), ("Message", 0), ("First Seen", 1), ("Count", 1), ("Name", 1)),
        ),
        eventrow.event,
    ),
    "nodes": Layout(
        _heads("Name,Status,Roles,Age,Version", "Internal-IP,External-IP,OS-Image,Kernel-Version,Container-Runtime"),
        rows.node,
    ),
    "namespaces": Layout(_heads("Name,Status,Age"), rows.simple("status.phase")),
    "configmaps": Layout(_heads("Name,Data,Age"), rows.simple("data")),
    "secrets": Layout(
        _heads("Name,Type,Data,Age"),
        lambda obj, age: [name_of(obj), obj.get("type"), len(obj.get("data") or {}), made_at(obj, age)],
    ),
    "serviceaccounts": Layout(_heads("Name,Secrets,Age"), rows.simple("secrets")),
    "persistentvolumeclaims": Layout(
        _heads("Name,Status,Volume,Capacity,Access Modes,StorageClass,VolumeAttributesClass,Age", "VolumeMode"),
        rows.claim,
    ),
    "persistentvolumes": Layout(
        _heads("Name,Capacity,Access Modes,Reclaim Policy,Status,Claim,StorageClass,Reason,Age"), rows.volume
    ),
    "horizontalpodautoscalers.autoscaling": Layout(
        _heads("Name,Reference,Targets,MinPods,MaxPods,Replicas,Age"), rows.autoscaler
    ),
    "resourcequotas": Layout(
        _heads("Name,Request,Limit,Age"),
        lambda obj, age: [
            name_of(obj),
            quota_usage(obj, limits=False),
            quota_usage(obj, limits=True),
            made_at(obj, age),
        ],
    ),
    "poddisruptionbudgets.policy": Layout(
        _heads("Name,Min Available,Max Unavailable,Allowed Disruptions,Age"), rows.budget
    ),
    "leases.coordination.k8s.io": Layout(_heads("Name,Holder,Age"), rows.simple("spec.holderIdentity")),
    "priorityclasses.scheduling.k8s.io": Layout(
        _heads("Name,Value,Global-Default,Age"), rows.simple("value", "globalDefault")
    ),
    "ingressclasses.networking.k8s.io": Layout(_heads("Name,Controller,Age"), rows.simple("spec.controller")),
    "networkpolicies.networking.k8s.io": Layout(
        _heads("Name,Pod-Selector,Age"),
        lambda obj, age: [name_of(obj), selector_text(rows.spec_of(obj).get("podSelector")), made_at(obj, age)],
    ),
    "storageclasses.storage.k8s.io": Layout(
        _heads("Name,Provisioner,ReclaimPolicy,VolumeBindingMode,Age"),
        rows.simple("provisioner", "reclaimPolicy", "volumeBindingMode"),
    ),
    "controllerrevisions.apps": Layout(_heads("Name,Revision,Age"), rows.simple("revision")),
    _rbac("roles"): Layout(_heads("Name,Created At"), rows.role),
    _rbac("clusterroles"): Layout(_heads("Name,Created At"), rows.role),
    _rbac("rolebindings"): _BINDING,
    _rbac("clusterrolebindings"): _BINDING,
}
