"""Rules for built-in kinds beyond their types: required values, selectors that match, fields that may not change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.errors import Cause
from hack.devcluster.apiserver.names import check_labels, label_problem
from hack.devcluster.apiserver.selectors import match_selector

Obj = dict[str, Any]
_PULL = ("Always", "IfNotPresent", "Never")
_RESTART = ("Always", "OnFailure", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_POD_MUTABLE = frozenset(
    {
        "activeDeadlineSeconds",
        "terminationGracePeriodSeconds",
        "tolerations",
        "schedulingGates",
        "nodeName",
        "ephemeralContainers",
    }
)


def _spec(obj: Mapping[str, Any]) -> Obj:
    return obj.get("spec") or {}


def _port(value: Any, path: str) -> list[Cause]:
    if isinstance(value, int) and not 1 <= value <= 65535:
        return [err.invalid_value(path, value, "must be between 1 and 65535, inclusive")]
    return []


def _container(container: Obj, path: str, *, image: bool = True) -> list[Cause]:
    causes = []
    name = container.get("name")
    if not name:
        causes.append(err.required(f"{path}.name"))
    elif problem := label_problem(name):
        causes.append(err.invalid_value(f"{path}.name", name, problem))
    if image and not container.get("image"):
        causes.append(err.required(f"{path}.image"))
    if container.get("imagePullPolicy") not in (None, *_PULL):
        causes.append(err.unsupported_value(f"{path}.imagePullPolicy", container["imagePullPolicy"], _PULL))
    for at, port in enumerate(container.get("ports") or ()):
        where = f"{path}.ports[{at}]"
        if not port.get("containerPort"):
            causes.append(err.required(f"{where}.containerPort"))
        causes += _port(port.get("containerPort") or 1, f"{where}.containerPort")
        if port.get("protocol") not in (None, *_PROTOCOLS):
            causes.append(err.unsupported_value(f"{where}.protocol", port["protocol"], _PROTOCOLS))
    for at, env in enumerate(container.get("env") or ()):
        if not env.get("name"):
            causes.append(err.required(f"{path}.env[{at}].name"))
    return causes


def pod_spec(spec: Obj, path: str, *, claims: tuple[str, ...] = ()) -> list[Cause]:
    """Causes of a PodSpec; `claims` are volumes that a StatefulSet's claim templates will supply."""
    causes = []
    if not spec.get("containers"):
        causes.append(err.required(f"{path}.containers"))
    seen: set[str] = set()
    for kind in ("initContainers", "containers"):
        for at, container in enumerate(spec.get(kind) or ()):
            where = f"{path}.{kind}[{at}]"
            causes += _container(container, where)
            if container.get("name") in seen:
                causes.append(err.duplicate(f"{where}.name", container["name"]))
            seen.add(container.get("name", ""))
    volumes = [volume.get("name", "") for volume in spec.get("volumes") or ()]
    for at, name in enumerate(volumes):
        if name in volumes[:at]:
            causes.append(err.duplicate(f"{path}.volumes[{at}].name", name))
    for kind in ("initContainers", "containers"):
        for at, container in enumerate(spec.get(kind) or ()):
            for index, mount in enumerate(container.get("volumeMounts") or ()):
                if mount.get("name") not in (*volumes, *claims):
                    where = f"{path}.{kind}[{at}].volumeMounts[{index}].name"
                    causes.append(Cause(where, f"Not found: {err.show(mount.get('name', ''))}", "FieldValueNotFound"))
    if spec.get("restartPolicy") not in (None, *_RESTART):
        causes.append(err.unsupported_value(f"{path}.restartPolicy", spec["restartPolicy"], _RESTART))
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        causes.append(
            err.invalid_value(
                f"{path}.terminationGracePeriodSeconds",
                spec["terminationGracePeriodSeconds"],
                "must be greater than or equal to 0",
            )
        )
    return causes


def _template(spec: Obj, path: str, policies: tuple[str, ...]) -> list[Cause]:
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    claims = tuple(claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates") or ())
    causes = check_labels(labels, f"{path}.metadata.labels")
    causes += pod_spec(template.get("spec") or {}, f"{path}.spec", claims=claims)
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy and policy not in policies:
        causes.append(err.unsupported_value(f"{path}.spec.restartPolicy", policy, policies))
    return causes


def _workload(obj: Obj, old: Obj | None) -> list[Cause]:
    spec = _spec(obj)
    selector = spec.get("selector")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    causes = []
    if not selector:
        causes.append(err.required("spec.selector"))
    elif not match_selector(selector, labels):
        causes.append(
            err.invalid_value("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
        )
    if (spec.get("replicas") or 0) < 0:
        causes.append(err.invalid_value("spec.replicas", spec["replicas"], "must be greater than or equal to 0"))
    causes += _template(spec, "spec.template", ("Always",))
    if old is not None and _spec(old).get("selector") != selector:
        causes.append(err.immutable("spec.selector", selector))
    return causes


def _stateful_set(obj: Obj, old: Obj | None) -> list[Cause]:
    causes = _workload(obj, None)
    if old is not None:
        allowed = {
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
        }
        new_spec, old_spec = _spec(obj), _spec(old)
        if any(new_spec.get(key) != old_spec.get(key) for key in (new_spec.keys() | old_spec.keys()) - allowed):
            text = "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
            text += "'updateStrategy', "
            text += "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
            causes.append(Cause("spec", text, "FieldValueForbidden"))
    return causes


def _job(obj: Obj, old: Obj | None) -> list[Cause]:
    spec = _spec(obj)
    causes = _template(spec, "spec.template", ("OnFailure", "Never"))
    for name in ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"):
        if (spec.get(name) or 0) < 0:
            causes.append(err.invalid_value(f"spec.{name}", spec[name], "must be greater than or equal to 0"))
    if old is None:
        return causes
    for name in ("selector", "completionMode"):
        if _spec(old).get(name) != spec.get(name):
            causes.append(err.immutable(f"spec.{name}", spec.get(name)))
    suspended = _spec(old).get("suspend") and not (old.get("status") or {}).get("startTime")
    if _spec(old).get("template") != spec.get("template") and not suspended:
        causes.append(err.immutable("spec.template", spec.get("template")))
    return causes


def _cron_job(obj: Obj, _old: Obj | None) -> list[Cause]:
    spec = _spec(obj)
    causes = []
    schedule = str(spec.get("schedule", ""))
    if not schedule:
        causes.append(err.required("spec.schedule"))
    elif not schedule.startswith("@") and len(schedule.split()) != 5:
        causes.append(
            err.invalid_value(
                "spec.schedule", schedule, f"Expected exactly 5 fields, found {len(schedule.split())}: {schedule}"
            )
        )
    if len(obj["metadata"].get("name", "")) > 52:
        causes.append(err.invalid_value("metadata.name", obj["metadata"]["name"], "must be no more than 52 characters"))
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    return causes + _template(job, "spec.jobTemplate.spec.template", ("OnFailure", "Never"))


def _pod(obj: Obj, old: Obj | None) -> list[Cause]:
    spec = _spec(obj)
    if old is None:
        return pod_spec(spec, "spec")
    return _pod_update(spec, _spec(old))


def _pod_update(spec: Obj, before: Obj) -> list[Cause]:
    def fixed(part: Obj) -> Obj:
        kept = {key: value for key, value in part.items() if key not in _POD_MUTABLE}
        for kind in ("containers", "initContainers"):
            if kind in kept:
                kept[kind] = [{k: v for k, v in item.items() if k not in ("image", "resources")} for item in kept[kind]]
        return kept

    if fixed(spec) == fixed(before) and (spec.get("nodeName") == before.get("nodeName") or not before.get("nodeName")):
        return []
    text = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    text += (
        "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    )
    text += "tolerations),`spec.terminationGracePeriodSeconds` "
    text += "(allow it to be set to 1 if it was previously negative)"
    return [Cause("spec", text, "FieldValueForbidden")]


def _service(obj: Obj, old: Obj | None) -> list[Cause]:
    spec = _spec(obj)
    causes = []
    ports = spec.get("ports") or []
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        causes.append(err.required("spec.ports"))
    if spec.get("type") not in ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"):
        causes.append(
            err.unsupported_value(
                "spec.type", spec.get("type"), ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
            )
        )
    names: set[str] = set()
    for at, port in enumerate(ports):
        causes += _port(port.get("port", 0), f"spec.ports[{at}].port") + _port(
            port.get("targetPort", 1), f"spec.ports[{at}].targetPort"
        )
        if len(ports) > 1 and not port.get("name"):
            causes.append(err.required(f"spec.ports[{at}].name"))
        elif port.get("name") in names:
            causes.append(err.duplicate(f"spec.ports[{at}].name", port["name"]))
        names.add(port.get("name", ""))
    before = _spec(old).get("clusterIP") if old is not None and _spec(old).get("type") != "ExternalName" else None
    if before and spec.get("type") != "ExternalName" and spec.get("clusterIP") != before:
        causes.append(
            Cause("spec.clusterIPs[0]", f"Invalid value: {err.show(spec.get('clusterIPs'))}: may not change once set")
        )
    return causes


def _immutable_data(obj: Obj, old: Obj | None) -> list[Cause]:
    if old is None or not old.get("immutable"):
        return []
    changed = [name for name in ("data", "binaryData") if obj.get(name) != old.get(name)]
    causes = [
        Cause(name, "Forbidden: field is immutable when `immutable` is set", "FieldValueForbidden") for name in changed
    ]
    if not obj.get("immutable"):
        causes.append(
            Cause("immutable", "Forbidden: field is immutable when `immutable` is set", "FieldValueForbidden")
        )
    return causes


def _config_map(obj: Obj, old: Obj | None) -> list[Cause]:
    size = sum(
        len(key) + len(value or "") for name in ("data", "binaryData") for key, value in (obj.get(name) or {}).items()
    )
    causes = _immutable_data(obj, old)
    if size > 1024 * 1024:
        causes.append(Cause("", "Too long: may not be more than 1048576 bytes", "FieldValueTooLong"))
    return causes


def _secret(obj: Obj, old: Obj | None) -> list[Cause]:
    causes = _immutable_data(obj, old)
    if old is not None and old.get("type") != obj.get("type"):
        causes.append(err.immutable("type", obj.get("type")))
    return causes


def _role_ref(obj: Obj, old: Obj | None) -> list[Cause]:
    ref = obj.get("roleRef") or {}
    if old is not None and old.get("roleRef") != ref:
        return [Cause("roleRef", f"Invalid value: {err.show(ref)}: cannot change roleRef")]
    causes = []
    if ref.get("kind") not in ("Role", "ClusterRole"):
        causes.append(err.unsupported_value("roleRef.kind", ref.get("kind", ""), ["Role", "ClusterRole"]))
    if not ref.get("name"):
        causes.append(err.required("roleRef.name"))
    return causes


def _autoscaler(obj: Obj, _old: Obj | None) -> list[Cause]:
    spec = _spec(obj)
    causes = []
    for name in ("kind", "name"):
        if not (spec.get("scaleTargetRef") or {}).get(name):
            causes.append(err.required(f"spec.scaleTargetRef.{name}"))
    low, high = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if high < 1:
        causes.append(err.invalid_value("spec.maxReplicas", high, "must be greater than 0"))
    elif high < low:
        causes.append(err.invalid_value("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`"))
    return causes


def _budget(obj: Obj, _old: Obj | None) -> list[Cause]:
    spec = _spec(obj)
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        return [Cause("spec", f"Invalid value: {err.show(spec)}: minAvailable and maxUnavailable cannot be both set")]
    return []


def _ingress(obj: Obj, _old: Obj | None) -> list[Cause]:
    causes = []
    spec = _spec(obj)
    if not spec.get("rules") and not spec.get("defaultBackend"):
        causes.append(
            Cause("spec", f"Invalid value: {err.show(spec)}: either `defaultBackend` or `rules` must be specified")
        )
    for at, rule in enumerate(spec.get("rules") or ()):
        for index, path in enumerate((rule.get("http") or {}).get("paths") or ()):
            where = f"spec.rules[{at}].http.paths[{index}]"
            if path.get("pathType") not in ("Exact", "Prefix", "ImplementationSpecific"):
                kinds = ["Exact", "ImplementationSpecific", "Prefix"]
                causes.append(
                    err.unsupported_value(f"{where}.pathType", path["pathType"], kinds)
                    if path.get("pathType")
                    else err.required(f"{where}.pathType", "pathType must be specified")
                )
            if path.get("path") and not str(path["path"]).startswith("/"):
                causes.append(err.invalid_value(f"{where}.path", path["path"], "must be an absolute path"))
    return causes


CHECKS: dict[str, Callable[[Obj, Obj | None], list[Cause]]] = {
    "pods": _pod,
    "deployments.apps": _workload,
    "replicasets.apps": _workload,
    "daemonsets.apps": _workload,
    "statefulsets.apps": _stateful_set,
    "jobs.batch": _job,
    "cronjobs.batch": _cron_job,
    "services": _service,
    "configmaps": _config_map,
    "secrets": _secret,
    "rolebindings.rbac.authorization.k8s.io": _role_ref,
    "clusterrolebindings.rbac.authorization.k8s.io": _role_ref,
    "horizontalpodautoscalers.autoscaling": _autoscaler,
    "poddisruptionbudgets.policy": _budget,
    "ingresses.networking.k8s.io": _ingress,
}


def validate(store_key: str, obj: Obj, old: Obj | None) -> list[Cause]:
    """Causes for an object of a built-in kind; `old` is None on create."""
    check = CHECKS.get(store_key)
    return check(obj, old) if check is not None else []
