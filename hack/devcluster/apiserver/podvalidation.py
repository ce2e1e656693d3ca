"""Rules of pods, alone and inside templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.errors import Cause
from hack.devcluster.apiserver.names import check_labels, label_problem

Obj = dict[str, Any]
_PULL = ("Always", "IfNotPresent", "Never")
_RESTART = ("Always", "OnFailure", "Never")
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
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


def spec_of(obj: Mapping[str, Any]) -> Obj:
    """The spec, or an empty one."""
    return obj.get("spec") or {}


def port_range(value: Any, path: str) -> list[Cause]:
    """A cause when a port number is out of range."""
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
        causes += port_range(port.get("containerPort") or 1, f"{where}.containerPort")
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
    if spec.get("dnsPolicy") not in (None, *_DNS):
        causes.append(err.unsupported_value(f"{path}.dnsPolicy", spec["dnsPolicy"], _DNS))
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        causes.append(
            err.invalid_value(
                f"{path}.terminationGracePeriodSeconds",
                spec["terminationGracePeriodSeconds"],
                "must be greater than or equal to 0",
            )
        )
    return causes


def template(spec: Obj, path: str, policies: tuple[str, ...]) -> list[Cause]:
    """Causes of a pod template; `policies` are the restart policies that the workload allows."""
    found = spec.get("template") or {}
    labels = (found.get("metadata") or {}).get("labels") or {}
    claims = tuple(claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates") or ())
    causes = check_labels(labels, f"{path}.metadata.labels")
    causes += pod_spec(found.get("spec") or {}, f"{path}.spec", claims=claims)
    policy = (found.get("spec") or {}).get("restartPolicy")
    if policy and policy not in policies:
        causes.append(err.unsupported_value(f"{path}.spec.restartPolicy", policy, policies))
    return causes


def pod(obj: Obj, old: Obj | None) -> list[Cause]:
    """Causes of a Pod."""
    spec = spec_of(obj)
    if old is None:
        return pod_spec(spec, "spec")
    return _pod_update(spec, spec_of(old))


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
