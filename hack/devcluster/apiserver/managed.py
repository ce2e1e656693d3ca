"""`metadata.managedFields`: who owns which field.

Every write by PUT, PATCH or POST gives its manager the fields it changed and takes them from the others; server-side
apply (`ssa`) uses the same entries. Entries keep their time when their set did not change, so that a repeated write
is no write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hack.devcluster.apiserver import fieldsets, schema
from hack.devcluster.apiserver.fieldsets import FieldSet
from hack.devcluster.apiserver.schema import Node

Identity = tuple[str, str, str, str]
Managers = dict[Identity, dict[str, Any]]

STRIPPED: FieldSet = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {
        f"f:{name}": {}
        for name in (
            *[
                "name",
                "namespace",
                "creationTimestamp",
                "selfLink",
                "uid",
                "clusterName",
                "generation",
                "managedFields",
                "resourceVersion",
            ],
            *["deletionTimestamp", "deletionGracePeriodSeconds"],
        )
    },
}
MAX_UPDATERS = 10


def identity(entry: Mapping[str, Any]) -> Identity:
    """Manager, operation, version (of updates only) and subresource."""
    operation = entry.get("operation", "")
    version = entry.get("apiVersion", "") if operation == "Update" else ""
    return (entry.get("manager", ""), operation, version, entry.get("subresource", ""))


def decode(entries: Any) -> Managers:
    """Entries by identity; malformed ones are dropped."""
    managers: Managers = {}
    for entry in entries or ():
        if (
            isinstance(entry, dict)
            and entry.get("operation") in ("Update", "Apply")
            and isinstance(entry.get("fieldsV1"), dict)
        ):
            managers[identity(entry)] = entry
    return managers


def encode(managers: Managers) -> list[dict[str, Any]]:
    """The entries in upstream's order: applies first, then by time, manager and version."""
    entries = [entry for entry in managers.values() if entry["fieldsV1"]]
    return sorted(
        entries,
        key=lambda entry: (
            entry["operation"],
            entry.get("time", ""),
            entry["manager"],
            entry["apiVersion"],
            entry.get("subresource", ""),
        ),
    )


def make_entry(
    *, manager: str, operation: str, api_version: str, subresource: str, fields: FieldSet, now: str
) -> dict[str, Any]:
    """One entry of `managedFields`."""
    entry: dict[str, Any] = {
        "manager": manager,
        "operation": operation,
        "apiVersion": api_version,
        "time": now,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    if subresource:
        entry["subresource"] = subresource
    return entry


def bare(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The object without the fields that nobody can own."""
    meta = {key: value for key, value in obj["metadata"].items() if f"f:{key}" not in STRIPPED["f:metadata"]}
    return {"metadata": meta} | {
        key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")
    }


def reset_fields(*, status: bool, subresource: str) -> FieldSet:
    """What an endpoint cannot own: `status` on the main one, everything else on the status one."""
    if subresource == "status":
        return {"f:spec": {}, "f:metadata": {}}
    return {"f:status": {}} if status else {}


def take(
    managers: Managers,
    *,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    node: Node,
    me: Identity,
    api_version: str,
    reset: FieldSet,
    now: str,
) -> Managers:
    """The managers after an update by `me`: changed fields change hands, removed ones vanish."""
    change = fieldsets.compare(old, new, node)
    if change.same:
        return managers
    changed = fieldsets.join(change.added, change.modified)
    result: Managers = {}
    for key, entry in managers.items():
        fields = _less(entry["fieldsV1"], changed if key != me else None, change.removed)
        if fields is not None:
            result[key] = entry if fields == entry["fieldsV1"] else {**entry, "fieldsV1": fields}
    if changed is not None and reset:
        changed = fieldsets.without_prefixes(changed, reset)
    mine = result.get(me)
    fields = fieldsets.join(mine["fieldsV1"] if mine else None, changed)
    if fields and (mine is None or fields != mine["fieldsV1"]):
        name, operation, _, subresource = me
        result[me] = make_entry(
            manager=name, operation=operation, api_version=api_version, subresource=subresource, fields=fields, now=now
        )
    return _capped(result)


def _less(fields: FieldSet, *others: FieldSet | None) -> FieldSet | None:
    left: FieldSet | None = fields
    for other in others:
        if other is not None and left is not None:
            left = fieldsets.difference(left, other)
    return left


def _capped(managers: Managers) -> Managers:
    """Upstream keeps ten update entries and folds the oldest into `ancient-changes`."""
    updates = sorted(
        (k for k, e in managers.items() if e["operation"] == "Update"), key=lambda k: managers[k].get("time", "")
    )
    while len(updates) > MAX_UPDATERS:
        oldest = managers.pop(updates.pop(0))
        key = ("ancient-changes", "Update", oldest["apiVersion"], "")
        known = managers.get(key)
        fields = fieldsets.join(known["fieldsV1"] if known else None, oldest["fieldsV1"]) or {}
        managers[key] = make_entry(
            manager=key[0],
            operation="Update",
            api_version=key[2],
            subresource="",
            fields=fields,
            now=oldest.get("time", ""),
        )
        if known is None and len(updates) >= MAX_UPDATERS:
            updates.append(key)
    return managers


def update(
    *,
    resource_status: bool,
    old: Mapping[str, Any] | None,
    new: dict[str, Any],
    sent: Any,
    node: Node,
    manager: str,
    api_version: str,
    subresource: str,
    typed: bool,
    now: str,
) -> None:
    """Set `new`'s managedFields after a write that is no apply. `sent` is the client's list (None: not sent)."""
    live = decode((old or {"metadata": {}})["metadata"].get("managedFields"))
    if sent is not None and (sent == [] or sent == [{}]) and old is not None:
        new["metadata"].pop("managedFields", None)
        return
    managers = decode(sent) or live
    base = bare(old) if old is not None else {"metadata": {}}
    if old is None and typed:
        base = bare(zero(node))
    taken = take(
        managers,
        old=base,
        new=bare(new),
        node=node,
        me=(manager, "Update", api_version, subresource),
        api_version=api_version,
        reset=reset_fields(status=resource_status, subresource=subresource) if old is None or subresource else {},
        now=now,
    )
    entries = encode(taken)
    if entries:
        new["metadata"]["managedFields"] = entries
    else:
        new["metadata"].pop("managedFields", None)


def zero(node: Node) -> dict[str, Any]:
    """A built-in object that nobody filled in: what stays equal to it at birth is owned by nobody."""
    found: dict[str, Any] = {}
    for key, value in node.zeros.items():
        child = node.child(key)
        if value == {} and child.type == schema.OBJECT:
            found[key] = zero(child)
        else:
            found[key] = [] if value is None and fieldsets.is_granular_list(child) else value
    return found
