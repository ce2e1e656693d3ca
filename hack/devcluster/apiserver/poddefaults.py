"""Default values of pods, alone and inside templates, and the quality of service that follows from resources."""

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def fill(target: Obj, values: Obj) -> None:
    """Set what is not there yet; containers are copied."""
    for key, value in values.items():
        if target.get(key) is None:
            target[key] = value.copy() if isinstance(value, dict | list) else value


def pod_spec(spec: Obj) -> None:
    """Defaults of a PodSpec, also inside templates."""
    fill(
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
    fill(
        container,
        {
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "Always" if latest else "IfNotPresent",
        },
    )
    for port in container.get("ports") or ():
        fill(port, {"protocol": "TCP"})
    for env in container.get("env") or ():
        ref = (env.get("valueFrom") or {}).get("fieldRef")
        if ref is not None:
            fill(ref, {"apiVersion": "v1"})
    limits = container["resources"].get("limits") or {}
    if limits:
        requests = container["resources"].setdefault("requests", {})
        for name, value in limits.items():
            requests.setdefault(name, value)
    for name in _PROBES:
        if container.get(name):
            fill(container[name], _PROBE)
            _handler(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _handler(hook)


def _handler(handler: Obj) -> None:
    if handler.get("httpGet"):
        fill(handler["httpGet"], {"path": "/", "scheme": "HTTP"})
    if handler.get("grpc"):
        fill(handler["grpc"], {"service": ""})


def _volume(volume: Obj) -> None:
    sources = [key for key in volume if key != "name"]
    if not sources:
        volume["emptyDir"] = {}
    for name in ("configMap", "secret", "downwardAPI", "projected"):
        if volume.get(name) is not None:
            fill(volume[name], {"defaultMode": 420})
    if volume.get("hostPath") is not None:
        fill(volume["hostPath"], {"type": ""})
    items = list((volume.get("downwardAPI") or {}).get("items") or ())
    for source in (volume.get("projected") or {}).get("sources") or ():
        items += (source.get("downwardAPI") or {}).get("items") or ()
        if source.get("serviceAccountToken") is not None:
            fill(source["serviceAccountToken"], {"expirationSeconds": 3600})
    for item in items:
        if item.get("fieldRef"):
            fill(item["fieldRef"], {"apiVersion": "v1"})


def template(spec: Obj) -> None:
    """Defaults of the pod template in a workload's spec."""
    found = spec.get("template")
    if found is None:
        return
    if not found.get("metadata"):
        found["metadata"] = {}
    if found.get("spec") is not None:
        pod_spec(found["spec"])


def pod(obj: Obj) -> None:
    """Defaults of a Pod."""
    spec = obj.get("spec")
    if spec is None:
        return
    pod_spec(spec)
    fill(spec, {"enableServiceLinks": True})
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
