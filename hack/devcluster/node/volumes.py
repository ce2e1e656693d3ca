"""Volumes as private folders: ConfigMap, Secret, emptyDir, projected, downwardAPI, claims, hostPath.

ConfigMap-like volumes are written the way the kubelet does: a new timestamped folder, then one rename of the `..data`
link, so that a reader sees either the old or the new files, never a mixture. Source:
pkg/volume/util/atomic_writer.go.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hack.devcluster.node.account import TokenKind
from hack.devcluster.node.environment import (
    ConfigError,
    Lookup,
    config_map_data,
    field_value,
    resource_value,
    secret_data,
)
from hack.devcluster.node.expansion import expand
from hack.devcluster.objects import Obj, spec_of

Payload = dict[str, tuple[bytes, int]]
"""Relative path -> (content, mode)."""


_HOST_TYPES: Mapping[str, Callable[[Path], bool]] = {
    "Directory": Path.is_dir,
    "File": Path.is_file,
    "Socket": Path.is_socket,
    "CharDevice": Path.is_char_device,
    "BlockDevice": Path.is_block_device,
}


class MountError(Exception):
    """A volume cannot be set up yet; the pod waits in ContainerCreating."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSources:
    """Lookups in the pod's namespace."""

    config_map: Lookup
    secret: Lookup
    claim_folder: Callable[[str], Path | None]
    token: Callable[[TokenKind], bytes]
    capacity: Mapping[str, str]


def volume_payload(pod: Obj, volume: Obj, sources: VolumeSources) -> Payload | None:
    """Files of a ConfigMap-like volume, None for the kinds that are folders. Raises MountError."""
    if "configMap" in volume:
        source = volume["configMap"]
        return _keyed(source, source["name"], "configmap", sources.config_map, _mode(source))
    if "secret" in volume:
        source = volume["secret"]
        return _keyed(source, source["secretName"], "secret", sources.secret, _mode(source))
    if "downwardAPI" in volume:
        return _downward(pod, volume["downwardAPI"], sources, _mode(volume["downwardAPI"]))
    if "projected" in volume:
        payload: Payload = {}
        for source in volume["projected"].get("sources") or []:
            payload.update(_projected(pod, source, sources, _mode(volume["projected"])))
        return payload
    return None


def _mode(source: Obj) -> int:
    value = source.get("defaultMode")
    return 0o644 if value is None else int(value)


def _projected(pod: Obj, source: Obj, sources: VolumeSources, mode: int) -> Payload:
    if "configMap" in source:
        entry = source["configMap"]
        return _keyed(entry, entry["name"], "configmap", sources.config_map, mode)
    if "secret" in source:
        entry = source["secret"]
        return _keyed(entry, entry["name"], "secret", sources.secret, mode)
    if "downwardAPI" in source:
        return _downward(pod, source["downwardAPI"], sources, mode)
    if "serviceAccountToken" in source:
        entry = source["serviceAccountToken"]
        return {_safe(entry.get("path", "token")): (sources.token(token_kind(entry)), 0o600)}
    raise MountError(f"projected source {sorted(source)} is not supported")


def token_kind(source: Obj) -> TokenKind:
    """Audience and life of a projected token."""
    return str(source.get("audience") or ""), int(source.get("expirationSeconds") or 3600)


def token_sources(pod: Obj) -> list[TokenKind]:
    """The tokens that a pod's projected volumes ask for."""
    return [
        token_kind(source["serviceAccountToken"])
        for volume in spec_of(pod).get("volumes") or []
        for source in (volume.get("projected") or {}).get("sources") or []
        if "serviceAccountToken" in source
    ]


def _keyed(source: Obj, name: str, kind: str, lookup: Lookup, mode: int) -> Payload:
    found = lookup(name)
    if found is None:
        if source.get("optional"):
            return {}
        raise MountError(f'{kind} "{name}" not found')
    data = config_map_data(found) if kind == "configmap" else secret_data(found)
    items = source.get("items")
    if not items:
        return {key: (value, mode) for key, value in data.items()}
    payload: Payload = {}
    for item in items:
        if item["key"] not in data:
            if source.get("optional"):
                continue
            raise MountError(f'{kind} "{name}" references non-existent key: {item["key"]}')
        payload[_safe(item["path"])] = (data[item["key"]], int(item.get("mode") or mode))
    return payload


def _downward(pod: Obj, source: Obj, sources: VolumeSources, mode: int) -> Payload:
    payload: Payload = {}
    try:
        for item in source.get("items") or []:
            if "fieldRef" in item:
                value = field_value(pod, item["fieldRef"]["fieldPath"])
            else:
                value = resource_value(pod, {}, item["resourceFieldRef"], sources.capacity)
            payload[_safe(item["path"])] = (value.encode(), int(item.get("mode") or mode))
    except ConfigError as error:
        raise MountError(str(error)) from error
    return payload


def _safe(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise MountError(f"path {path!r} must be relative and may not hold '..'")
    return path


def write_payload(folder: Path, payload: Payload) -> bool:
    """Swap in new content; False when it is the same as before."""
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "..data"
    if link.is_symlink() and _current(link) == {name: content for name, (content, _) in payload.items()}:
        return False
    stamp = folder / f"..{time.time_ns()}"
    for name, (content, mode) in payload.items():
        target = stamp / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(mode)
    stamp.mkdir(exist_ok=True)
    old = os.readlink(link) if link.is_symlink() else ""
    fresh = folder / "..data_tmp"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(stamp.name)
    fresh.rename(link)
    _link_top(folder, {name.split("/")[0] for name in payload})
    if old:
        shutil.rmtree(folder / old, ignore_errors=True)
    return True


def _current(link: Path) -> dict[str, bytes]:
    return {str(path.relative_to(link)): path.read_bytes() for path in link.rglob("*") if path.is_file()}


def _link_top(folder: Path, wanted: set[str]) -> None:
    for entry in folder.iterdir():
        if not entry.name.startswith("..") and entry.name not in wanted and entry.is_symlink():
            entry.unlink()
    for name in wanted:
        with contextlib.suppress(FileExistsError):
            (folder / name).symlink_to(Path("..data") / name)


def volume_folder(pod: Obj, volume: Obj, root: Path, sources: VolumeSources) -> Path:
    """Make the volume exist and return its folder. Raises MountError."""
    private = root / "volumes" / str(volume["name"])
    if "persistentVolumeClaim" in volume or "ephemeral" in volume:
        claim = (volume.get("persistentVolumeClaim") or {}).get(
            "claimName"
        ) or f"{pod['metadata']['name']}-{volume['name']}"
        folder = sources.claim_folder(claim)
        if folder is None:
            raise MountError(f'persistentvolumeclaim "{claim}" not found or not bound')
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    if "hostPath" in volume:
        return _host_path(volume["hostPath"])
    payload = volume_payload(pod, volume, sources)
    if payload is not None:
        write_payload(private, payload)
    elif "emptyDir" in volume or set(volume) == {"name"}:
        private.mkdir(parents=True, exist_ok=True)
    else:
        raise MountError(f"volume {volume['name']!r}: kind {sorted(set(volume) - {'name'})} is not supported")
    return private


def _host_path(source: Obj) -> Path:
    path, kind = Path(source["path"]), source.get("type") or ""
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        path.touch()
    elif kind and not _HOST_TYPES[kind](path):
        raise MountError(f"hostPath type check failed: {path} is not a {kind}")
    return path


def mount_table(container: Obj, folders: Mapping[str, Path], environment: Mapping[str, str]) -> dict[str, str]:
    """Mount path -> private path for one container, honouring subPath and subPathExpr. Raises MountError."""
    table: dict[str, str] = {}
    for mount in container.get("volumeMounts") or []:
        folder = folders.get(mount["name"])
        if folder is None:
            raise MountError(f"volumeMount {mount['name']!r} names no volume of the pod")
        sub = mount.get("subPath") or expand(mount.get("subPathExpr") or "", environment)
        target = folder / _safe(sub) if sub else folder
        if sub and not target.exists() and not (folder / "..data").is_symlink():
            target.mkdir(parents=True, exist_ok=True)
        table[mount["mountPath"]] = str(target)
    return table


def needs_refresh(pod: Obj) -> bool:
    """True when the pod has a volume whose content follows API objects."""
    kinds = ("configMap", "secret", "projected", "downwardAPI")
    return any(kind in volume for volume in spec_of(pod).get("volumes") or [] for kind in kinds)
