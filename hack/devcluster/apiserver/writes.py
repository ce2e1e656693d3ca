"""An update against what is stored: optimistic locking, and whether anything changes at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.calls import Call

Obj = dict[str, Any]


def lock(call: Call, meta: Obj, old: Obj, *, partial: bool) -> None:
    """Identity and version of an update. Raises 400, 409 or 422."""
    resource = call.resource
    name, namespace = meta.setdefault("name", call.name), meta.get("namespace")
    if name != old["name"]:
        raise err.bad_request(f"the name of the object ({name}) does not match the name on the URL ({old['name']})")
    if namespace not in (None, "", old.get("namespace")):
        raise err.bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if meta.get("uid") not in (None, "", old["uid"]):
        why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {old['uid']}"
        raise err.conflict(resource.plural, resource.group, name, why)
    version = meta.get("resourceVersion")
    if version and version != old["resourceVersion"]:
        raise err.conflict(resource.plural, resource.group, name)
    if not version and resource.crd is not None and not partial:
        cause = err.Cause("metadata.resourceVersion", "Invalid value: 0: must be specified for an update")
        raise err.invalid(resource.plural, resource.group, name, [cause])


def unchanged(obj: Obj, old: Obj) -> bool:
    """Whether a write would change nothing but times."""
    new_meta, old_meta = obj["metadata"], old["metadata"]
    if _without_times(new_meta) != _without_times(old_meta):
        return False
    skip = ("metadata", "apiVersion")
    return {k: v for k, v in obj.items() if k not in skip} == {k: v for k, v in old.items() if k not in skip}


def drop_empty(meta: Obj) -> None:
    """Remove empty members of metadata, in place."""
    for name in ("labels", "annotations", "finalizers", "ownerReferences"):
        if name in meta and not meta[name]:
            del meta[name]


def _without_times(meta: Mapping[str, Any]) -> Obj:
    plain = {
        key: value for key, value in meta.items() if key not in ("managedFields", "labels", "annotations") or value
    }
    if "managedFields" in plain:
        plain["managedFields"] = [{k: v for k, v in entry.items() if k != "time"} for entry in plain["managedFields"]]
    return plain
