"""The environment of a container: env, envFrom, valueFrom.

Pure: the caller looks up ConfigMaps and Secrets through two functions. A missing one that is not optional is a typed
error, on which the container waits (CreateContainerConfigError) until the object appears.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hack.devcluster.node.expansion import expand
from hack.devcluster.node.quantity import divide
from hack.devcluster.objects import Obj, annotations_of, labels_of, meta, spec_of, status_of

_FIELD = re.compile(r"^metadata\.(labels|annotations)\['([^']+)'\]$")
_ENV_NAME = re.compile(r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")

Lookup = Callable[[str], Obj | None]


class ConfigError(Exception):
    """A container cannot be configured; the message goes into its waiting state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where values come from: lookups by name in the pod's namespace, and the node's capacity for missing limits."""

    config_map: Lookup
    secret: Lookup
    capacity: Mapping[str, str]


def container_environment(pod: Obj, container: Obj, *, base: Mapping[str, str], sources: Sources) -> dict[str, str]:
    """Environment before mount paths are rewritten; `base` has defaults and Service variables. Raises ConfigError."""
    result = dict(base)
    for source in container.get("envFrom") or []:
        result.update(_from_source(source, sources))
    for entry in container.get("env") or []:
        name = entry["name"]
        if entry.get("valueFrom"):
            value = _value_from(pod, container, entry["valueFrom"], sources)
            if value is not None:
                result[name] = value
        else:
            result[name] = expand(str(entry.get("value") or ""), result)
    return result


def config_map_data(config_map: Obj) -> dict[str, bytes]:
    data = {key: str(value).encode() for key, value in (config_map.get("data") or {}).items()}
    data.update({key: base64.b64decode(value) for key, value in (config_map.get("binaryData") or {}).items()})
    return data


def secret_data(secret: Obj) -> dict[str, bytes]:
    data = {key: base64.b64decode(value or "") for key, value in (secret.get("data") or {}).items()}
    data.update({key: str(value).encode() for key, value in (secret.get("stringData") or {}).items()})
    return data


def field_value(pod: Obj, path: str) -> str:
    """A Downward API field. Raises ConfigError for one that is not supported."""
    match = _FIELD.match(path)
    if match:
        source = labels_of(pod) if match.group(1) == "labels" else annotations_of(pod)
        return source.get(match.group(2), "")
    if path in ("metadata.labels", "metadata.annotations"):
        source = labels_of(pod) if path.endswith("labels") else annotations_of(pod)
        return "\n".join(f'{key}="{_quoted(value)}"' for key, value in sorted(source.items()))
    readers: dict[str, Callable[[], Any]] = {
        "metadata.name": lambda: meta(pod).get("name"),
        "metadata.namespace": lambda: meta(pod).get("namespace"),
        "metadata.uid": lambda: meta(pod).get("uid"),
        "spec.nodeName": lambda: spec_of(pod).get("nodeName"),
        "spec.serviceAccountName": lambda: spec_of(pod).get("serviceAccountName") or "default",
        "status.podIP": lambda: status_of(pod).get("podIP"),
        "status.podIPs": lambda: status_of(pod).get("podIP"),
        "status.hostIP": lambda: status_of(pod).get("hostIP"),
        "status.hostIPs": lambda: status_of(pod).get("hostIP"),
    }
    if path not in readers:
        raise ConfigError(f"fieldRef {path!r} is not supported")
    return str(readers[path]() or "")


def resource_value(pod: Obj, container: Obj, reference: Obj, capacity: Mapping[str, str]) -> str:
    """limits.cpu, requests.memory and so on in units of the divisor; an absent limit is the node's capacity."""
    owner = container
    wanted = reference.get("containerName")
    if wanted:
        every = [*(spec_of(pod).get("containers") or []), *(spec_of(pod).get("initContainers") or [])]
        owner = next((entry for entry in every if entry["name"] == wanted), container)
    section, _, name = str(reference.get("resource", "")).partition(".")
    resources = owner.get("resources") or {}
    value = (resources.get(section) or {}).get(name)
    if value is None and section == "limits":
        value = capacity.get(name, "0")
    return str(divide(value if value is not None else "0", reference.get("divisor") or "1"))


def _from_source(source: Obj, sources: Sources) -> dict[str, str]:
    if "configMapRef" in source:
        reference, kind = source["configMapRef"], "configmap"
        found = sources.config_map(reference["name"])
        data = config_map_data(found) if found else None
    else:
        reference, kind = source.get("secretRef") or {}, "secret"
        found = sources.secret(reference.get("name", ""))
        data = secret_data(found) if found else None
    if data is None:
        if reference.get("optional"):
            return {}
        raise ConfigError(f'{kind} "{reference.get("name")}" not found')
    prefix = source.get("prefix") or ""
    return {
        prefix + key: value.decode("utf-8", "replace") for key, value in data.items() if _ENV_NAME.match(prefix + key)
    }


def _value_from(pod: Obj, container: Obj, reference: Obj, sources: Sources) -> str | None:
    if "fieldRef" in reference:
        return field_value(pod, reference["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in reference:
        return resource_value(pod, container, reference["resourceFieldRef"], sources.capacity)
    if "configMapKeyRef" in reference:
        selector, kind = reference["configMapKeyRef"], "configmap"
        found = sources.config_map(selector["name"])
        data = config_map_data(found) if found else None
    elif "secretKeyRef" in reference:
        selector, kind = reference["secretKeyRef"], "secret"
        found = sources.secret(selector["name"])
        data = secret_data(found) if found else None
    else:
        raise ConfigError(f"valueFrom {sorted(reference)} is not supported")
    if data is None:
        if selector.get("optional"):
            return None
        raise ConfigError(f'{kind} "{selector["name"]}" not found')
    if selector["key"] not in data:
        if selector.get("optional"):
            return None
        raise ConfigError(
            f"couldn't find key {selector['key']} in {kind} {meta(pod).get('namespace')}/{selector['name']}"
        )
    return data[selector["key"]].decode("utf-8", "replace")


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
