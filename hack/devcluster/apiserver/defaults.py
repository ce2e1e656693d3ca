"""Default values of built-in kinds, as upstream's `SetDefaults_*` fill them in before an object is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hack.devcluster.apiserver import webhookconfigs
from hack.devcluster.apiserver.poddefaults import fill, pod, template

Obj = dict[str, Any]
_MAX_INT32 = 2_147_483_647


def _deployment(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600, "strategy": {}})
    fill(spec["strategy"], {"type": "RollingUpdate"})
    if spec["strategy"]["type"] == "RollingUpdate":
        fill(spec["strategy"], {"rollingUpdate": {}})
        fill(spec["strategy"]["rollingUpdate"], {"maxUnavailable": "25%", "maxSurge": "25%"})
    template(spec)


def _replica_set(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    fill(spec, {"replicas": 1})
    template(spec)


def _stateful_set(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    fill(
        spec,
        {
            "replicas": 1,
            "podManagementPolicy": "OrderedReady",
            "revisionHistoryLimit": 10,
            "updateStrategy": {},
            "persistentVolumeClaimRetentionPolicy": {},
        },
    )
    fill(spec["persistentVolumeClaimRetentionPolicy"], {"whenDeleted": "Retain", "whenScaled": "Retain"})
    fill(spec["updateStrategy"], {"type": "RollingUpdate"})
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        fill(spec["updateStrategy"], {"rollingUpdate": {}})
        fill(spec["updateStrategy"]["rollingUpdate"], {"partition": 0})
    template(spec)
    for claim in spec.get("volumeClaimTemplates") or ():
        fill(claim, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}})
        _claim(claim)


def _daemon_set(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    fill(spec, {"revisionHistoryLimit": 10, "updateStrategy": {}})
    fill(spec["updateStrategy"], {"type": "RollingUpdate"})
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        fill(spec["updateStrategy"], {"rollingUpdate": {}})
        fill(spec["updateStrategy"]["rollingUpdate"], {"maxUnavailable": 1, "maxSurge": 0})
    template(spec)


def _job_spec(spec: Obj) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    fill(
        spec,
        {
            "parallelism": 1,
            "backoffLimit": 6 if spec.get("backoffLimitPerIndex") is None else _MAX_INT32,
            "completionMode": "NonIndexed",
            "suspend": False,
            "manualSelector": False,
            "podReplacementPolicy": "TerminatingOrFailed" if spec.get("podFailurePolicy") is None else "Failed",
        },
    )
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            fill(pattern, {"status": "True"})
    template(spec)


def _job(obj: Obj) -> None:
    """A job without labels shares those of its template, also the ones that `job_selector` adds later."""
    spec = obj.setdefault("spec", {})
    _job_spec(spec)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = labels


def job_selector(obj: Obj) -> None:
    """Give a new job its selector and the labels that it selects, in place; nobody owns these fields."""
    meta, spec, uid = obj["metadata"], obj["spec"], obj["metadata"].get("uid", "")
    if spec.get("manualSelector") or spec.get("selector") or "template" not in spec or not uid:
        return
    labels = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": meta["name"]}
    legacy = {"controller-uid": uid, "job-name": meta["name"]}
    template_meta = spec["template"].setdefault("metadata", {})
    if template_meta.get("labels") is None:
        template_meta["labels"] = {}
    template_meta["labels"].update(labels | legacy)
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def _cron_job(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    fill(
        spec,
        {"concurrencyPolicy": "Allow", "suspend": False, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1},
    )
    job = (spec.get("jobTemplate") or {}).get("spec")
    if job is not None:
        template(job)


def _service(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    fill(spec, {"type": "ClusterIP", "sessionAffinity": "None"})
    if spec["type"] != "ExternalName":
        fill(spec, {"internalTrafficPolicy": "Cluster"})
    if spec["type"] in ("NodePort", "LoadBalancer"):
        fill(spec, {"externalTrafficPolicy": "Cluster"})
    if spec["type"] == "LoadBalancer":
        fill(spec, {"allocateLoadBalancerNodePorts": True})
    if spec["sessionAffinity"] == "ClientIP":
        fill(spec, {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}})
    for port in spec.get("ports") or ():
        fill(port, {"protocol": "TCP"})
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port")


def _claim(obj: Obj) -> None:
    fill(obj.setdefault("spec", {}), {"volumeMode": "Filesystem"})


def _volume_object(obj: Obj) -> None:
    fill(obj.setdefault("spec", {}), {"volumeMode": "Filesystem", "persistentVolumeReclaimPolicy": "Retain"})
    fill(obj.setdefault("status", {}), {"phase": "Pending"})


def _secret(obj: Obj) -> None:
    fill(obj, {"type": "Opaque"})


def _namespace(obj: Obj) -> None:
    labels = obj["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")
    fill(
        obj.setdefault("spec", {}),
        {"finalizers": ["kubernetes"]} if not obj["metadata"].get("deletionTimestamp") else {},
    )


def _autoscaler(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    fill(spec, {"minReplicas": 1})
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is None:
        return
    percent = {"type": "Percent", "value": 100, "periodSeconds": 15}
    pods = {"type": "Pods", "value": 4, "periodSeconds": 15}
    fill(behavior, {"scaleUp": {}, "scaleDown": {}})
    fill(behavior["scaleUp"], {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [pods, percent]})
    fill(behavior["scaleDown"], {"selectPolicy": "Max", "policies": [percent]})


def _role_binding(obj: Obj) -> None:
    if obj.get("roleRef") is not None:
        obj["roleRef"]["apiGroup"] = obj["roleRef"].get("apiGroup") or "rbac.authorization.k8s.io"
    for subject in obj.get("subjects") or ():
        fill(subject, {"apiGroup": "" if subject.get("kind") == "ServiceAccount" else "rbac.authorization.k8s.io"})
        if subject["apiGroup"] == "":
            del subject["apiGroup"]


def _network_policy(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    fill(spec, {"podSelector": {}, "policyTypes": ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]})
    for rule in [*(spec.get("ingress") or ()), *(spec.get("egress") or ())]:
        for port in rule.get("ports") or ():
            fill(port, {"protocol": "TCP"})


def _endpoint_slice(obj: Obj) -> None:
    for port in obj.get("ports") or ():
        fill(port, {"name": "", "protocol": "TCP"})


def _endpoints(obj: Obj) -> None:
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ():
            fill(port, {"protocol": "TCP"})


def _crd(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    fill(spec, {"conversion": {"strategy": "None"}})
    if names.get("kind"):
        fill(names, {"singular": names["kind"].lower(), "listKind": names["kind"] + "List"})


def _priority_class(obj: Obj) -> None:
    fill(obj, {"preemptionPolicy": "PreemptLowerPriority"})


def _storage_class(obj: Obj) -> None:
    fill(obj, {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"})


DEFAULTERS: dict[str, Callable[[Obj], None]] = {
    "pods": pod,
    "deployments.apps": _deployment,
    "replicasets.apps": _replica_set,
    "statefulsets.apps": _stateful_set,
    "daemonsets.apps": _daemon_set,
    "jobs.batch": _job,
    "cronjobs.batch": _cron_job,
    "services": _service,
    "secrets": _secret,
    "namespaces": _namespace,
    "persistentvolumeclaims": _claim,
    "persistentvolumes": _volume_object,
    "horizontalpodautoscalers.autoscaling": _autoscaler,
    "rolebindings.rbac.authorization.k8s.io": _role_binding,
    "clusterrolebindings.rbac.authorization.k8s.io": _role_binding,
    "networkpolicies.networking.k8s.io": _network_policy,
    "endpointslices.discovery.k8s.io": _endpoint_slice,
    "endpoints": _endpoints,
    "customresourcedefinitions.apiextensions.k8s.io": _crd,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": lambda obj: webhookconfigs.default_webhooks(
        obj, mutating=True
    ),
    "validatingwebhookconfigurations.admissionregistration.k8s.io": lambda obj: webhookconfigs.default_webhooks(
        obj, mutating=False
    ),
    "validatingadmissionpolicies.admissionregistration.k8s.io": webhookconfigs.default_policy,
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": webhookconfigs.default_policy_binding,
    "priorityclasses.scheduling.k8s.io": _priority_class,
    "storageclasses.storage.k8s.io": _storage_class,
}


def apply_defaults(store_key: str, obj: Obj) -> None:
    """Fill in the defaults of a built-in kind, in place."""
    work = DEFAULTERS.get(store_key)
    if work is not None:
        work(obj)
