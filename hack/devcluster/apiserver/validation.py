"""Rules for built-in kinds beyond their types: required values, selectors that match, fields that may not change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver import webhookconfigs
from hack.devcluster.apiserver.errors import Cause
from hack.devcluster.apiserver.names import check_config_keys
from hack.devcluster.apiserver.podvalidation import pod, port_range, spec_of, template
from hack.devcluster.apiserver.selectors import match_selector

Obj = dict[str, Any]
_ADMISSION = "admissionregistration.k8s.io"


_STRATEGIES = {"Deployment": ("strategy", ("Recreate", "RollingUpdate"))}


def _workload(obj: Obj, old: Obj | None) -> list[Cause]:
    spec = spec_of(obj)
    selector = spec.get("selector")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    causes = []
    if selector is None:
        causes.append(err.required("spec.selector"))
    elif not any(selector.values()):
        kind = str(obj.get("kind", "")).lower()
        causes.append(err.invalid_value("spec.selector", {}, f"empty selector is invalid for {kind}"))
    elif not match_selector(selector, labels):
        causes.append(
            err.invalid_value("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
        )
    if (spec.get("replicas") or 0) < 0:
        causes.append(err.invalid_value("spec.replicas", spec["replicas"], "must be greater than or equal to 0"))
    field, kinds = _STRATEGIES.get(str(obj.get("kind")), ("", ()))
    if field and (spec.get(field) or {}).get("type") not in (None, *kinds):
        causes.append(err.unsupported_value(f"spec.{field}.type", spec[field]["type"], kinds))
    causes += template(spec, "spec.template", ("Always",))
    if old is not None and spec_of(old).get("selector") != selector:
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
        new_spec, old_spec = spec_of(obj), spec_of(old)
        if any(new_spec.get(key) != old_spec.get(key) for key in (new_spec.keys() | old_spec.keys()) - allowed):
            text = "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
            text += "'updateStrategy', "
            text += "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
            causes.append(Cause("spec", text, "FieldValueForbidden"))
    return causes


def _job(obj: Obj, old: Obj | None) -> list[Cause]:
    spec = spec_of(obj)
    causes = template(spec, "spec.template", ("OnFailure", "Never"))
    for name in ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"):
        if (spec.get(name) or 0) < 0:
            causes.append(err.invalid_value(f"spec.{name}", spec[name], "must be greater than or equal to 0"))
    if old is None:
        return causes
    for name in ("selector", "completionMode"):
        if spec_of(old).get(name) != spec.get(name):
            causes.append(err.immutable(f"spec.{name}", spec.get(name)))
    suspended = spec_of(old).get("suspend") and not (old.get("status") or {}).get("startTime")
    if spec_of(old).get("template") != spec.get("template") and not suspended:
        causes.append(err.immutable("spec.template", spec.get("template")))
    return causes


def _cron_job(obj: Obj, _old: Obj | None) -> list[Cause]:
    spec = spec_of(obj)
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
    return causes + template(job, "spec.jobTemplate.spec.template", ("OnFailure", "Never"))


def _service(obj: Obj, old: Obj | None) -> list[Cause]:
    spec = spec_of(obj)
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
        causes += port_range(port.get("port", 0), f"spec.ports[{at}].port") + port_range(
            port.get("targetPort", 1), f"spec.ports[{at}].targetPort"
        )
        if len(ports) > 1 and not port.get("name"):
            causes.append(err.required(f"spec.ports[{at}].name"))
        elif port.get("name") in names:
            causes.append(err.duplicate(f"spec.ports[{at}].name", port["name"]))
        names.add(port.get("name", ""))
    before = spec_of(old).get("clusterIP") if old is not None and spec_of(old).get("type") != "ExternalName" else None
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
    for name in ("data", "binaryData"):
        causes += check_config_keys(obj.get(name) or {}, name)
    if size > 1024 * 1024:
        causes.append(Cause("", "Too long: may not be more than 1048576 bytes", "FieldValueTooLong"))
    return causes


def _secret(obj: Obj, old: Obj | None) -> list[Cause]:
    causes = _immutable_data(obj, old) + check_config_keys(obj.get("data") or {}, "data")
    if old is not None and old.get("type") != obj.get("type"):
        causes.append(err.immutable("type", obj.get("type")))
    return causes


def _role(obj: Obj, _old: Obj | None) -> list[Cause]:
    causes: list[Cause] = []
    for at, rule in enumerate(obj.get("rules") or ()):
        path = f"rules[{at}]"
        if not rule.get("verbs"):
            causes.append(err.required(f"{path}.verbs", "verbs must contain at least one value"))
        if rule.get("nonResourceURLs"):
            if obj.get("kind") == "Role":
                why = "namespaced rules cannot apply to non-resource URLs"
                causes.append(err.invalid_value(f"{path}.nonResourceURLs", rule["nonResourceURLs"], why))
            continue
        if not rule.get("apiGroups"):
            causes.append(err.required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
        if not rule.get("resources"):
            causes.append(err.required(f"{path}.resources", "resource rules must supply at least one resource"))
    return causes


def _role_ref(obj: Obj, old: Obj | None) -> list[Cause]:
    ref = obj.get("roleRef") or {}
    if old is not None and old.get("roleRef") != ref:
        shown = {"APIGroup": ref.get("apiGroup"), "Kind": ref.get("kind"), "Name": ref.get("name")}
        return [Cause("roleRef", f"Invalid value: {err.show(shown)}: cannot change roleRef")]
    causes = []
    if ref.get("kind") not in ("Role", "ClusterRole"):
        causes.append(err.unsupported_value("roleRef.kind", ref.get("kind", ""), ["Role", "ClusterRole"]))
    if not ref.get("name"):
        causes.append(err.required("roleRef.name"))
    return causes


def _autoscaler(obj: Obj, _old: Obj | None) -> list[Cause]:
    spec = spec_of(obj)
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
    spec = spec_of(obj)
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        return [Cause("spec", f"Invalid value: {err.show(spec)}: minAvailable and maxUnavailable cannot be both set")]
    return []


def _ingress(obj: Obj, _old: Obj | None) -> list[Cause]:
    causes = []
    spec = spec_of(obj)
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
    "pods": pod,
    "deployments.apps": _workload,
    "replicasets.apps": _workload,
    "daemonsets.apps": _workload,
    "statefulsets.apps": _stateful_set,
    "jobs.batch": _job,
    "cronjobs.batch": _cron_job,
    "services": _service,
    "configmaps": _config_map,
    "secrets": _secret,
    "roles.rbac.authorization.k8s.io": _role,
    "clusterroles.rbac.authorization.k8s.io": _role,
    "rolebindings.rbac.authorization.k8s.io": _role_ref,
    "clusterrolebindings.rbac.authorization.k8s.io": _role_ref,
    "horizontalpodautoscalers.autoscaling": _autoscaler,
    "poddisruptionbudgets.policy": _budget,
    "ingresses.networking.k8s.io": _ingress,
    f"mutatingwebhookconfigurations.{_ADMISSION}": webhookconfigs.check_webhooks,
    f"validatingwebhookconfigurations.{_ADMISSION}": webhookconfigs.check_webhooks,
    f"validatingadmissionpolicies.{_ADMISSION}": webhookconfigs.check_policy,
    f"validatingadmissionpolicybindings.{_ADMISSION}": webhookconfigs.check_policy_binding,
}


def validate(store_key: str, obj: Obj, old: Obj | None) -> list[Cause]:
    """Causes for an object of a built-in kind; `old` is None on create."""
    check = CHECKS.get(store_key)
    return check(obj, old) if check is not None else []
