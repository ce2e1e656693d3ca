"""Pod Security admission: the `baseline` and `restricted` levels, enforced by the label of the namespace.

Source: the Pod Security Standards. Only what a pod can say about itself is checked; exemptions and versions are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Obj = Mapping[str, Any]
LABEL = "pod-security.kubernetes.io/enforce"
LEVELS = ("baseline", "restricted")
_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
        "image",
    }
)
_BASE_CAPABILITIES = frozenset(
    {
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
        *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    }
)
_SECCOMP = ("RuntimeDefault", "Localhost")


def _containers(spec: Obj) -> list[Obj]:
    return [item for name in ("initContainers", "containers", "ephemeralContainers") for item in spec.get(name) or ()]


def _context(part: Obj) -> Obj:
    return part.get("securityContext") or {}


def _named(containers: Iterable[Obj]) -> str:
    names = [f'"{item.get("name", "")}"' for item in containers]
    return ("container " if len(names) == 1 else "containers ") + ", ".join(names)


def violations(spec: Obj, level: str) -> list[str]:
    """Why a pod does not meet a level; empty when it does."""
    found = _baseline(spec)
    return found + _restricted(spec) if level == "restricted" else found


def _baseline(spec: Obj) -> list[str]:
    found: list[str] = []
    spaces = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    if spaces:
        found.append("host namespaces (" + ", ".join(f"{name}=true" for name in spaces) + ")")
    containers = _containers(spec)
    privileged = [item for item in containers if _context(item).get("privileged")]
    if privileged:
        found.append(f"privileged ({_named(privileged)} must not set securityContext.privileged=true)")
    extra = [item for item in containers if set(_added(item)) - _BASE_CAPABILITIES]
    if extra:
        found.append(f"non-default capabilities ({_named(extra)} must not add capabilities beyond the default set)")
    paths = [volume.get("name", "") for volume in spec.get("volumes") or () if volume.get("hostPath") is not None]
    if paths:
        found.append("hostPath volumes (" + ", ".join(f'volume "{name}"' for name in paths) + ")")
    ports = [item for item in containers if any(port.get("hostPort") for port in item.get("ports") or ())]
    if ports:
        found.append(f"hostPort ({_named(ports)} uses hostPorts)")
    return found


def _added(container: Obj) -> list[str]:
    return list((_context(container).get("capabilities") or {}).get("add") or ())


def _restricted(spec: Obj) -> list[str]:
    found: list[str] = []
    containers, pod = _containers(spec), _context(spec)
    escalating = [item for item in containers if _context(item).get("allowPrivilegeEscalation") is not False]
    if escalating:
        must = "must set securityContext.allowPrivilegeEscalation=false"
        found.append(f"allowPrivilegeEscalation != false ({_named(escalating)} {must})")
    loose = [item for item in containers if not _drops_all(item)]
    if loose:
        found.append(f'unrestricted capabilities ({_named(loose)} must set securityContext.capabilities.drop=["ALL"])')
    odd = [
        volume.get("name", "")
        for volume in spec.get("volumes") or ()
        if not (set(volume) - {"name"}) <= _VOLUMES and volume.get("hostPath") is None
    ]
    if odd:
        found.append("restricted volume types (" + ", ".join(f'volume "{name}"' for name in odd) + ")")
    root = [item for item in containers if _context(item).get("runAsNonRoot", pod.get("runAsNonRoot")) is not True]
    if root:
        found.append(f"runAsNonRoot != true (pod or {_named(root)} must set securityContext.runAsNonRoot=true)")
    if any(part.get("runAsUser") == 0 for part in (pod, *(_context(item) for item in containers))):
        found.append("runAsUser=0 (pod or containers must not set runAsUser=0)")
    open_calls = [
        item
        for item in containers
        if (_context(item).get("seccompProfile") or pod.get("seccompProfile") or {}).get("type") not in _SECCOMP
    ]
    if open_calls:
        must = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        found.append(f"seccompProfile (pod or {_named(open_calls)} {must})")
    return found


def _drops_all(container: Obj) -> bool:
    dropped = (_context(container).get("capabilities") or {}).get("drop") or ()
    return "ALL" in dropped and set(_added(container)) <= {"NET_BIND_SERVICE"}
