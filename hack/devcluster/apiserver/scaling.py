"""The `scale` subresource: another object's replicas, seen and changed as an autoscaling/v1 Scale.

Ownership lives in the parent's managedFields, where an entry of `subresource: scale` owns the path of the replicas; a
server-side apply on the Scale is done against entries translated there and back.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver import fieldsets, managed, ssa
from hack.devcluster.apiserver.calls import Call
from hack.devcluster.apiserver.fieldsets import FieldSet
from hack.devcluster.apiserver.kinds import Scale
from hack.devcluster.apiserver.printcells import selector_text
from hack.devcluster.apiserver.rest import Obj, Rest
from hack.devcluster.apiserver.store import Stored

API = "autoscaling/v1"
OWNED: FieldSet = {"f:spec": {"f:replicas": {}}}
_META = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def path_of(call: Call) -> Scale:
    """The paths of the kind. Raises 404 when it has no scale."""
    if call.resource.scale is None:
        raise err.no_route()
    return call.resource.scale


def view(call: Call, obj: Obj) -> Obj:
    """The Scale of an object."""
    scale = path_of(call)
    selector = _at(obj, scale.selector) if scale.selector else None
    if call.resource.crd is None:
        selector = selector_text((obj.get("spec") or {}).get("selector"))
    elif _at(obj, scale.spec) is None:
        where = ".".join(("", *scale.spec))
        raise err.ApiError(
            500, "InternalError", f'Internal error occurred: the spec replicas field "{where}" does not exist'
        )
    spec, replicas = {"replicas": _at(obj, scale.spec) or 0}, _at(obj, scale.status) or 0
    status: Obj = {"replicas": replicas}
    if selector and selector != "<none>":
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": API,
        "metadata": {name: obj["metadata"][name] for name in _META if name in obj["metadata"]},
        "spec": spec if spec["replicas"] else {},
        "status": status,
    }


def check(call: Call, wanted: Any, stored: Stored) -> int:
    """The replicas of a Scale that a client sent. Raises 400, 409 or 422."""
    if not isinstance(wanted, dict):
        raise err.bad_request("the body of the request must be a Scale")
    meta = wanted.get("metadata") or {}
    if meta.get("name", call.name) != call.name:
        raise err.bad_request(
            f"the name of the object ({meta['name']}) does not match the name on the URL ({call.name})"
        )
    replicas = (wanted.get("spec") or {}).get("replicas") or 0
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        shown = "string" if isinstance(replicas, str) else "number"
        text = f"json: cannot unmarshal {shown} into Go struct field ScaleSpec.spec.replicas of type int32"
        raise err.bad_request(f'Scale in version "v1" cannot be handled as a Scale: {text}')
    if replicas < 0:
        if call.resource.crd is not None:
            where = ".".join(("", *path_of(call).spec))
            cause = err.invalid_value(where, replicas, "should be a non-negative integer")
            raise err.invalid(call.resource.kind, call.resource.group, call.name, [cause])
        cause = err.invalid_value("spec.replicas", replicas, "must be greater than or equal to 0")
        raise err.invalid("Scale", "autoscaling", call.name, [cause])
    version = meta.get("resourceVersion")
    if version and version != str(stored.version):
        raise err.conflict(call.resource.plural, call.resource.group, call.name)
    return replicas


def put_replicas(call: Call, obj: Obj, replicas: int) -> None:
    """Set the replicas of the parent, in place."""
    path, target = path_of(call).spec, obj
    for key in path[:-1]:
        target = target.setdefault(key, {})
    target[path[-1]] = replicas


def apply(rest: Rest, call: Call, stored: Stored, config: Any) -> tuple[Obj, list[Obj]]:
    """(changed parent, its managedFields) of a server-side apply on the Scale. Raises 400, 409 or 422."""
    if not call.query.get("fieldManager"):
        raise err.invalid(
            "PatchOptions", "meta.k8s.io", "", [err.required("fieldManager", "is required for apply patch")]
        )
    if not isinstance(config, dict) or (config.get("apiVersion"), config.get("kind")) != (API, "Scale"):
        raise err.bad_request(f"the apply configuration must be of {API}, Kind=Scale")
    config.setdefault("metadata", {}).setdefault("name", call.name)
    check(call, config, stored)
    parent = rest.view(call.resource, stored)
    live = view(call, parent)
    replicas = _owned_path(call)
    owners = managed.decode(parent["metadata"].get("managedFields"))
    live["metadata"]["managedFields"] = [
        {
            **{key: value for key, value in entry.items() if key != "time"},
            "apiVersion": API,
            "fieldsV1": copy.deepcopy(OWNED),
        }
        for entry in owners.values()
        if fieldsets.difference(replicas, entry["fieldsV1"]) is None
    ]
    merged, entries = ssa.apply(
        live=live,
        config=config,
        node=rest.registry.types.node("V1Scale"),
        manager=call.query["fieldManager"],
        api_version=API,
        subresource="scale",
        reset={"f:status": {}},
        force=call.query.get("force", "") in ("1", "true", "True"),
        now=rest.stamp(),
    )
    if call.resource.crd is not None:  # upstream checks conflicts and then fails on a custom resource
        what = f"(/{call.name}; {API}, Kind=Scale)"
        why = (
            f"failed to convert new object {what} to proper version: request to convert CR to an invalid group/version"
        )
        raise err.ApiError(500, "", f"{why}: {API}")
    put_replicas(call, parent, (merged.get("spec") or {}).get("replicas") or 0)
    return parent, managed.encode(_back(call, owners, entries, replicas))


def _owned_path(call: Call) -> FieldSet:
    found: FieldSet = {}
    for key in reversed(path_of(call).spec):
        found = {f"f:{key}": found}
    return found


def _back(call: Call, owners: managed.Managers, scaled: managed.Managers, replicas: FieldSet) -> managed.Managers:
    """The parent's entries after the Scale's: whoever owns the Scale's replicas owns the parent's, nobody else."""
    result: managed.Managers = {}
    for key, entry in owners.items():
        fields = fieldsets.difference(entry["fieldsV1"], replicas)
        if fields:
            result[key] = {**entry, "fieldsV1": fields}
    for entry in scaled.values():
        if "f:replicas" not in (entry["fieldsV1"].get("f:spec") or {}):
            continue
        made = {**entry, "apiVersion": call.resource.api_version}
        made.pop("time", None)  # as upstream: the translated entry carries none
        key = managed.identity(made)
        fields = fieldsets.join(result[key]["fieldsV1"] if key in result else None, replicas) or {}
        result[key] = {**made, "fieldsV1": fields}
    return result


def _at(obj: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        obj = obj.get(key) if isinstance(obj, Mapping) else None
    return obj
