"""Default values of built-in kinds, as upstream's `SetDefaults_*` fill them in before an object is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Obj = dict[str, Any]

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def _fill(target: Obj, values: Obj) -> None:
    for key, value in values.items():
        if target.get(key) is None:
            target[key] = value.copy() if isinstance(value, dict | list) else value


def pod_spec(spec: Obj) -> None:
    """Defaults of a PodSpec, also inside templates."""
    _fill(
        spec,
        {
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
            "securityContext": {},
        },
    )
    if spec.get("serviceAccountName") and not spec.get("serviceAccount"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    elif spec.get("serviceAccount") and not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    for name in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(name) or ():
            _container(container)
    for volume in spec.get("volumes") or ():
        _volume(volume)


def _container(container: Obj) -> None:
    image = container.get("image", "")
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    latest = "@" not in image and tag in ("", "latest")
    _fill(
        container,
        {
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "Always" if latest else "IfNotPresent",
        },
    )
    for port in container.get("ports") or ():
        _fill(port, {"protocol": "TCP"})
    for env in container.get("env") or ():
        ref = (env.get("valueFrom") or {}).get("fieldRef")
        if ref is not None:
            _fill(ref, {"apiVersion": "v1"})
    limits = container["resources"].get("limits") or {}
    if limits:
        requests = container["resources"].setdefault("requests", {})
        for name, value in limits.items():
            requests.setdefault(name, value)
    for name in _PROBES:
        if container.get(name):
            _fill(container[name], _PROBE)
            _handler(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _handler(hook)


def _handler(handler: Obj) -> None:
    if handler.get("httpGet"):
        _fill(handler["httpGet"], {"path": "/", "scheme": "HTTP"})
    if handler.get("grpc"):
        _fill(handler["grpc"], {"service": ""})


def _volume(volume: Obj) -> None:
    sources = [key for key in volume if key != "name"]
    if not sources:
        volume["emptyDir"] = {}
    for name in ("configMap", "secret", "downwardAPI", "projected"):
        if volume.get(name) is not None:
            _fill(volume[name], {"defaultMode": 420})
    if volume.get("hostPath") is not None:
        _fill(volume["hostPath"], {"type": ""})
    items = list((volume.get("downwardAPI") or {}).get("items") or ())
    for source in (volume.get("projected") or {}).get("sources") or ():
        items += (source.get("downwardAPI") or {}).get("items") or ()
        if source.get("serviceAccountToken") is not None:
            _fill(source["serviceAccountToken"], {"expirationSeconds": 3600})
    for item in items:
        if item.get("fieldRef"):
            _fill(item["fieldRef"], {"apiVersion": "v1"})


def _template(spec: Obj) -> None:
    template = spec.get("template")
    if template is None:
        return
    if not template.get("metadata"):
        template["metadata"] = {}
    if template.get("spec") is not None:
        pod_spec(template["spec"])


def _pod(obj: Obj) -> None:
    spec = obj.get("spec")
    if spec is None:
        return
    pod_spec(spec)
    _fill(spec, {"enableServiceLinks": True})
    obj.setdefault("status", {}).setdefault("qosClass", qos_class(spec))


def qos_class(spec: Obj) -> str:
    """Guaranteed, Burstable or BestEffort."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    resources = [container.get("resources") or {} for container in containers]
    if all(not item.get("limits") and not item.get("requests") for item in resources):
        return "BestEffort"
    for item in resources:
        limits, requests = item.get("limits") or {}, item.get("requests") or {}
        if any(name not in limits or requests.get(name, limits[name]) != limits[name] for name in ("cpu", "memory")):
            return "Burstable"
    return "Guaranteed"


def _deployment(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600, "strategy": {}})
    _fill(spec["strategy"], {"type": "RollingUpdate"})
    if spec["strategy"]["type"] == "RollingUpdate":
        _fill(spec["strategy"], {"rollingUpdate": {}})
        _fill(spec["strategy"]["rollingUpdate"], {"maxUnavailable": "25%", "maxSurge": "25%"})
    _template(spec)


def _replica_set(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _fill(spec, {"replicas": 1})
    _template(spec)


def _stateful_set(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _fill(
        spec,
        {
            "replicas": 1,
            "podManagementPolicy": "OrderedReady",
            "revisionHistoryLimit": 10,
            "updateStrategy": {},
            "persistentVolumeClaimRetentionPolicy": {},
        },
    )
    _fill(spec["persistentVolumeClaimRetentionPolicy"], {"whenDeleted": "Retain", "whenScaled": "Retain"})
    _fill(spec["updateStrategy"], {"type": "RollingUpdate"})
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        _fill(spec["updateStrategy"], {"rollingUpdate": {}})
        _fill(spec["updateStrategy"]["rollingUpdate"], {"partition": 0})
    _template(spec)
    for claim in spec.get("volumeClaimTemplates") or ():
        _fill(claim, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}})
        _claim(claim)


def _daemon_set(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _fill(spec, {"revisionHistoryLimit": 10, "updateStrategy": {}})
    _fill(spec["updateStrategy"], {"type": "RollingUpdate"})
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        _fill(spec["updateStrategy"], {"rollingUpdate": {}})
        _fill(spec["updateStrategy"]["rollingUpdate"], {"maxUnavailable": 1, "maxSurge": 0})
    _template(spec)


def _job_spec(spec: Obj) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    _fill(
        spec,
        {
            "parallelism": 1,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "suspend": False,
            "manualSelector": False,
            "podReplacementPolicy": "TerminatingOrFailed",
        },
    )
    if spec["manualSelector"] is False:
        del spec["manualSelector"]
    _template(spec)


def _job(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _job_spec(spec)
    meta, uid = obj["metadata"], obj["metadata"].get("uid", "")
    if spec.get("manualSelector") or spec.get("selector") or "template" not in spec or not uid:
        return
    labels = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": meta["name"]}
    legacy = {"controller-uid": uid, "job-name": meta["name"]}
    template_meta = spec["template"].setdefault("metadata", {})
    template_meta["labels"] = {**(template_meta.get("labels") or {}), **labels, **legacy}
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def _cron_job(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _fill(
        spec,
        {"concurrencyPolicy": "Allow", "suspend": False, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1},
    )
    job = (spec.get("jobTemplate") or {}).get("spec")
    if job is not None:
        _template(job)


def _service(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _fill(spec, {"type": "ClusterIP", "sessionAffinity": "None"})
    if spec["type"] != "ExternalName":
        _fill(spec, {"internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"})
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _fill(spec, {"externalTrafficPolicy": "Cluster"})
    if spec["type"] == "LoadBalancer":
        _fill(spec, {"allocateLoadBalancerNodePorts": True})
    if spec["sessionAffinity"] == "ClientIP":
        _fill(spec, {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}})
    for port in spec.get("ports") or ():
        _fill(port, {"protocol": "TCP", "targetPort": port.get("port")})


def _claim(obj: Obj) -> None:
    _fill(obj.setdefault("spec", {}), {"volumeMode": "Filesystem"})


def _volume_object(obj: Obj) -> None:
    _fill(obj.setdefault("spec", {}), {"volumeMode": "Filesystem", "persistentVolumeReclaimPolicy": "Retain"})
    _fill(obj.setdefault("status", {}), {"phase": "Pending"})


def _secret(obj: Obj) -> None:
    _fill(obj, {"type": "Opaque"})


def _namespace(obj: Obj) -> None:
    labels = obj["metadata"].setdefault("labels", {})
    labels["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")
    _fill(
        obj.setdefault("spec", {}),
        {"finalizers": ["kubernetes"]} if not obj["metadata"].get("deletionTimestamp") else {},
    )


def _autoscaler(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _fill(spec, {"minReplicas": 1})
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is None:
        return
    percent = {"type": "Percent", "value": 100, "periodSeconds": 15}
    pods = {"type": "Pods", "value": 4, "periodSeconds": 15}
    _fill(behavior, {"scaleUp": {}, "scaleDown": {}})
    _fill(behavior["scaleUp"], {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [pods, percent]})
    _fill(behavior["scaleDown"], {"selectPolicy": "Max", "policies": [percent]})


def _role_binding(obj: Obj) -> None:
    if obj.get("roleRef") is not None:
        _fill(obj["roleRef"], {"apiGroup": "rbac.authorization.k8s.io"})
    for subject in obj.get("subjects") or ():
        _fill(subject, {"apiGroup": "" if subject.get("kind") == "ServiceAccount" else "rbac.authorization.k8s.io"})
        if subject["apiGroup"] == "":
            del subject["apiGroup"]


def _network_policy(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _fill(spec, {"podSelector": {}, "policyTypes": ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]})


def _endpoint_slice(obj: Obj) -> None:
    for port in obj.get("ports") or ():
        _fill(port, {"name": "", "protocol": "TCP"})


def _endpoints(obj: Obj) -> None:
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ():
            _fill(port, {"protocol": "TCP"})


def _crd(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    _fill(spec, {"conversion": {"strategy": "None"}})
    if names.get("kind"):
        _fill(names, {"singular": names["kind"].lower(), "listKind": names["kind"] + "List"})


def _webhooks(obj: Obj) -> None:
    mutating = obj.get("kind") == "MutatingWebhookConfiguration"
    for hook in obj.get("webhooks") or ():
        _fill(hook, {"failurePolicy": "Fail", "matchPolicy": "Equivalent", "timeoutSeconds": 10})
        _fill(hook, {"namespaceSelector": {}, "objectSelector": {}})
        if mutating:
            _fill(hook, {"reinvocationPolicy": "Never"})
        for rule in hook.get("rules") or ():
            _fill(rule, {"scope": "*"})
        service = (hook.get("clientConfig") or {}).get("service")
        if service is not None:
            _fill(service, {"port": 443})


def _priority_class(obj: Obj) -> None:
    _fill(obj, {"preemptionPolicy": "PreemptLowerPriority"})


def _storage_class(obj: Obj) -> None:
    _fill(obj, {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"})


DEFAULTERS: dict[str, Callable[[Obj], None]] = {
    "pods": _pod,
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
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": _webhooks,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": _webhooks,
    "priorityclasses.scheduling.k8s.io": _priority_class,
    "storageclasses.storage.k8s.io": _storage_class,
}


def apply_defaults(store_key: str, obj: Obj) -> None:
    """Fill in the defaults of a built-in kind, in place."""
    fill = DEFAULTERS.get(store_key)
    if fill is not None:
        fill(obj)
