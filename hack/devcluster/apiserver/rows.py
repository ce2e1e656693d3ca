"""The rows that `kubectl get` shows for built-in kinds: object and age function to cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    selector_text,
    service_ports,
)

Obj = dict[str, Any]
Age = Callable[[str | None], str]


def name_of(obj: Obj) -> str:
    """The name."""
    return str(obj["metadata"]["name"])


def made_at(obj: Obj, age: Age) -> str:
    """The age."""
    return age(obj["metadata"].get("creationTimestamp"))


def spec_of(obj: Obj) -> Obj:
    """The spec, or an empty one."""
    return obj.get("spec") or {}


def status_of(obj: Obj) -> Obj:
    """The status, or an empty one."""
    return obj.get("status") or {}


def pod(obj: Obj, age: Age) -> list[Any]:
    """The row of a pod."""
    spec, status = spec_of(obj), status_of(obj)
    gates = spec.get("readinessGates") or []
    ok = {item.get("type") for item in status.get("conditions") or () if item.get("status") == "True"}
    passed = f"{sum(gate.get('conditionType') in ok for gate in gates)}/{len(gates)}" if gates else "<none>"
    return [
        *[name_of(obj), pod_ready(obj), pod_status(obj), pod_restarts(obj, age), made_at(obj, age)],
        *[status.get("podIP") or "<none>", spec.get("nodeName") or "<none>"],
        *[status.get("nominatedNodeName") or "<none>", passed],
    ]


def template(obj: Obj) -> list[str]:
    """Containers, images of the pod template."""
    spec = (spec_of(obj).get("template") or {}).get("spec") or {}
    return [container_names(spec), container_images(spec)]


def deployment(obj: Obj, age: Age) -> list[Any]:
    """The row of a deployment."""
    status = status_of(obj)
    ready = f"{status.get('readyReplicas', 0)}/{spec_of(obj).get('replicas', 1)}"
    row = [name_of(obj), ready, status.get("updatedReplicas", 0), status.get("availableReplicas", 0), made_at(obj, age)]
    return [*row, *template(obj), selector_text(spec_of(obj).get("selector"))]


def replica_set(obj: Obj, age: Age) -> list[Any]:
    """The row of a replica set."""
    status = status_of(obj)
    row = [
        name_of(obj),
        spec_of(obj).get("replicas", 1),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        made_at(obj, age),
    ]
    return [*row, *template(obj), selector_text(spec_of(obj).get("selector"))]


def stateful_set(obj: Obj, age: Age) -> list[Any]:
    """The row of a stateful set."""
    ready = f"{status_of(obj).get('readyReplicas', 0)}/{spec_of(obj).get('replicas', 1)}"
    return [name_of(obj), ready, made_at(obj, age), *template(obj)]


def daemon_set(obj: Obj, age: Age) -> list[Any]:
    """The row of a daemon set."""
    status = status_of(obj)
    names = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    node = ",".join(
        f"{k}={v}"
        for k, v in (((spec_of(obj).get("template") or {}).get("spec") or {}).get("nodeSelector") or {}).items()
    )
    counts = [status.get(name, 0) for name in names]
    return [
        name_of(obj),
        *counts,
        node or "<none>",
        made_at(obj, age),
        *template(obj),
        selector_text(spec_of(obj).get("selector")),
    ]


def job(obj: Obj, age: Age) -> list[Any]:
    """The row of a job."""
    row = [name_of(obj), job_status(obj), completions(obj), job_duration(obj, age), made_at(obj, age)]
    return [*row, *template(obj), selector_text(spec_of(obj).get("selector"))]


def cron_job(obj: Obj, age: Age) -> list[Any]:
    """The row of a cron job."""
    spec, status = spec_of(obj), status_of(obj)
    last = age(status["lastScheduleTime"]) if status.get("lastScheduleTime") else "<none>"
    job = ((spec.get("jobTemplate") or {}).get("spec") or {}).get("template", {}).get("spec") or {}
    row = [name_of(obj), spec.get("schedule"), spec.get("timeZone") or "<none>", str(spec.get("suspend", False))]
    return [
        *row,
        len(status.get("active") or ()),
        last,
        made_at(obj, age),
        container_names(job),
        container_images(job),
        "<none>",
    ]


def service(obj: Obj, age: Age) -> list[Any]:
    """The row of a service."""
    spec = spec_of(obj)
    row = [
        name_of(obj),
        spec.get("type", "ClusterIP"),
        spec.get("clusterIP") or "<none>",
        external_ips(obj),
        service_ports(spec),
    ]
    return [*row, made_at(obj, age), selector_text({"matchLabels": spec.get("selector") or {}})]


def ingress(obj: Obj, age: Age) -> list[Any]:
    """The row of an Ingress."""
    spec = spec_of(obj)
    return [
        name_of(obj),
        spec.get("ingressClassName") or "<none>",
        ingress_hosts(spec),
        ingress_address(obj),
        ingress_ports(spec),
        made_at(obj, age),
    ]


def node(obj: Obj, age: Age) -> list[Any]:
    """The row of a node."""
    info = status_of(obj).get("nodeInfo") or {}
    row = [name_of(obj), node_status(obj), node_roles(obj), made_at(obj, age), node_version(obj)]
    addresses = [node_address(obj, "InternalIP"), node_address(obj, "ExternalIP")]
    return [
        *row,
        *addresses,
        *(info.get(name) or "<unknown>" for name in ("osImage", "kernelVersion", "containerRuntimeVersion")),
    ]


def claim(obj: Obj, age: Age) -> list[Any]:
    """The row of a claim."""
    spec, status = spec_of(obj), status_of(obj)
    row = [
        name_of(obj),
        status.get("phase", ""),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", ""),
    ]
    return [
        *row,
        access_modes(status),
        spec.get("storageClassName", ""),
        "<unset>",
        made_at(obj, age),
        spec.get("volumeMode", "<unset>"),
    ]


def volume(obj: Obj, age: Age) -> list[Any]:
    """The row of a volume."""
    spec, claim = spec_of(obj), spec_of(obj).get("claimRef") or {}
    bound = f"{claim.get('namespace')}/{claim.get('name')}" if claim else ""
    row = [
        name_of(obj),
        (spec.get("capacity") or {}).get("storage", ""),
        access_modes(spec),
        spec.get("persistentVolumeReclaimPolicy"),
    ]
    return [
        *row,
        status_of(obj).get("phase", ""),
        bound,
        spec.get("storageClassName", ""),
        status_of(obj).get("reason", ""),
        made_at(obj, age),
    ]


def autoscaler(obj: Obj, age: Age) -> list[Any]:
    """The row of an autoscaler."""
    spec, ref = spec_of(obj), spec_of(obj).get("scaleTargetRef") or {}
    row = [
        name_of(obj),
        f"{ref.get('kind')}/{ref.get('name')}",
        metric_targets(obj),
        str(spec.get("minReplicas", "<unset>")),
    ]
    return [*row, spec.get("maxReplicas"), status_of(obj).get("currentReplicas", 0), made_at(obj, age)]


def budget(obj: Obj, age: Age) -> list[Any]:
    """The row of a budget."""
    spec = spec_of(obj)
    row = [name_of(obj), str(spec.get("minAvailable", "N/A")), str(spec.get("maxUnavailable", "N/A"))]
    return [*row, status_of(obj).get("disruptionsAllowed", 0), made_at(obj, age)]


def simple(*paths: str) -> Callable[[Obj, Age], list[Any]]:
    """A row of the values at dotted paths."""

    def cells(obj: Obj, age: Age) -> list[Any]:
        row: list[Any] = [name_of(obj)]
        for path in paths:
            value: Any = obj
            for part in path.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            row.append(
                len(value) if path in ("data", "secrets") and value else 0 if path in ("data", "secrets") else value
            )
        return [*row, made_at(obj, age)]

    return cells


def binding(obj: Obj, age: Age) -> list[Any]:
    """The row of a binding."""
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
    return [name_of(obj), f"{ref.get('kind')}/{ref.get('name')}", made_at(obj, age), *wide]


def role(obj: Obj, age: Age) -> list[Any]:
    """The row of a role."""
    return [name_of(obj), obj["metadata"].get("creationTimestamp")]
