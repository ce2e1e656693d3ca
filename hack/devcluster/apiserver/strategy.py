"""What differs by kind in the life of an object: status on create, generation, which part a status update may change.

The rules are those of the `strategy.go` files upstream, as a table; kinds not named follow the general rule.
"""

from __future__ import annotations

from typing import Any

from hack.devcluster.apiserver.kinds import Resource

GENERATED = frozenset(
    {
        *[f"{name}.apps" for name in ("deployments", "replicasets", "statefulsets", "daemonsets")],
        *[f"{name}.batch" for name in ("jobs", "cronjobs")],
        *[f"{name}.networking.k8s.io" for name in ("ingresses", "ingressclasses", "networkpolicies")],
        *[
            f"{name}.admissionregistration.k8s.io"
            for name in (
                *("mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
                *("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
            )
        ],
        "poddisruptionbudgets.policy",
        "endpointslices.discovery.k8s.io",
        "priorityclasses.scheduling.k8s.io",
        "customresourcedefinitions.apiextensions.k8s.io",
        "pods",
    }
)
KEEPS_STATUS = frozenset({"nodes", "persistentvolumes"})
STATUS_TAKES_METADATA = frozenset({"pods", "nodes"})
RETURNS_DELETED = frozenset(
    {"pods", "services", "serviceaccounts", "persistentvolumeclaims", "persistentvolumes", "resourcequotas"}
)
INITIAL_STATUS: dict[str, dict[str, Any]] = {
    "pods": {"phase": "Pending"},
    "services": {"loadBalancer": {}},
    "namespaces": {"phase": "Active"},
    "persistentvolumeclaims": {"phase": "Pending"},
    "ingresses.networking.k8s.io": {"loadBalancer": {}},
    "daemonsets.apps": {
        "currentNumberScheduled": 0,
        "desiredNumberScheduled": 0,
        "numberMisscheduled": 0,
        "numberReady": 0,
    },
    "replicasets.apps": {"replicas": 0},
    "statefulsets.apps": {"replicas": 0, "availableReplicas": 0},
    "horizontalpodautoscalers.autoscaling": {"desiredReplicas": 0, "currentMetrics": None},
    "poddisruptionbudgets.policy": {
        "disruptionsAllowed": 0,
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "expectedPods": 0,
    },
}
META_KEPT = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "generateName",
    "namespace",
    "name",
)


def prepare_create(resource: Resource, obj: dict[str, Any]) -> None:
    """Reset what a client may not set at birth."""
    key = resource.store_key
    meta = obj["metadata"]
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion", "generation"):
        meta.pop(name, None)
    if resource.crd is not None:
        if resource.status:
            obj.pop("status", None)
        meta["generation"] = 1
        return
    if resource.status and key not in KEEPS_STATUS:
        obj["status"] = {k: v for k, v in INITIAL_STATUS.get(key, {}).items() if v is not None}
    if key in GENERATED:
        meta["generation"] = 1


def prepare_update(resource: Resource, new: dict[str, Any], old: dict[str, Any], subresource: str) -> None:
    """Undo changes outside the endpoint's part."""
    new_meta, old_meta = new["metadata"], old["metadata"]
    if subresource == "status":
        kept = {key: value for key, value in old.items() if key not in ("status", "metadata")}
        status = new.get("status")
        new.clear()
        new.update(kept)
        new["metadata"] = _status_metadata(resource, new_meta, old_meta)
        if status is not None:
            new["status"] = status
    elif resource.status and subresource != "finalize":
        if "status" in old:
            new["status"] = old["status"]
        else:
            new.pop("status", None)
    for name in META_KEPT:
        if name in old_meta:
            new["metadata"][name] = old_meta[name]
        else:
            new["metadata"].pop(name, None)
    new["metadata"].pop("selfLink", None)


def _status_metadata(resource: Resource, new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    meta = dict(old)
    if resource.store_key in STATUS_TAKES_METADATA:
        for name in ("labels", "annotations"):
            meta.pop(name, None)
            if new.get(name):
                meta[name] = new[name]
    if "managedFields" in new:
        meta["managedFields"] = new["managedFields"]
    meta["resourceVersion"] = new.get("resourceVersion", old.get("resourceVersion"))
    return meta


def bumps(resource: Resource, new: dict[str, Any], old: dict[str, Any], subresource: str) -> bool:
    """Whether the change is one of intent: it raises the generation."""
    if subresource == "status":
        return False
    if resource.crd is not None:
        ignored = {"metadata", "apiVersion", "kind"} | ({"status"} if resource.status else set())
        return {k: v for k, v in new.items() if k not in ignored} != {k: v for k, v in old.items() if k not in ignored}
    if resource.store_key not in GENERATED:
        return False
    if resource.store_key == "endpointslices.discovery.k8s.io":
        kept = [
            {key: value for key, value in item.items() if key not in ("metadata", "apiVersion")} for item in (new, old)
        ]
        return kept[0] != kept[1] or new["metadata"].get("labels") != old["metadata"].get("labels")
    if "spec" in old or "spec" in new:
        return bool(new.get("spec") != old.get("spec"))
    return bool(new.get("webhooks") != old.get("webhooks"))


def selectable(collection: str, obj: Any, extra: tuple[str, ...] = ()) -> dict[str, str]:
    """Values of the fields that a `fieldSelector` of the kind may name; `extra` are those that a CRD declares."""
    paths = (*SELECTABLE.get(collection, ()), *extra)
    if extra:
        paths = (*_NAMES, *paths)
    if not paths:
        return {"metadata.name": obj["metadata"]["name"], "metadata.namespace": obj["metadata"].get("namespace", "")}
    values: dict[str, str] = {}
    for path in paths:
        value: Any = obj
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        values[path] = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
    if collection == "events":
        values["source"] = str((obj.get("source") or {}).get("component") or obj.get("reportingComponent") or "")
    return values


_NAMES = ("metadata.name", "metadata.namespace")
_INVOLVED = tuple(
    f"involvedObject.{name}"
    for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
)
SELECTABLE: dict[str, tuple[str, ...]] = {
    "pods": (
        *_NAMES,
        *["spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork"],
        *["status.phase", "status.podIP", "status.nominatedNodeName"],
    ),
    "events": (*_NAMES, *_INVOLVED, "reason", "reportingComponent", "source", "type"),
    "secrets": (*_NAMES, "type"),
    "namespaces": ("metadata.name", "status.phase"),
    "nodes": ("metadata.name", "spec.unschedulable"),
    "services": (*_NAMES, "spec.clusterIP", "spec.type"),
    "replicasets.apps": (*_NAMES, "status.replicas"),
    "jobs.batch": (*_NAMES, "status.successful"),
}


def supported_fields(resource: Resource) -> frozenset[str]:
    """The fields that a `fieldSelector` may name."""
    extra = resource.crd.selectable if resource.crd is not None else ()
    return frozenset(SELECTABLE.get(resource.store_key, _NAMES if resource.namespaced else _NAMES[:1])) | frozenset(
        extra
    )
