"""Server-side apply: merge a configuration into the live object, drop what its manager no longer applies, find
conflicts.

Pure: (live, configuration, type, managers) -> (merged object, managers). Semantics are those of
structured-merge-diff; the server fills in defaults afterwards.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import msgspec

from hack.devcluster.apiserver import fieldsets, managed, schema
from hack.devcluster.apiserver.errors import ApiError, Cause
from hack.devcluster.apiserver.fieldsets import FieldSet, is_granular_list, item_element
from hack.devcluster.apiserver.managed import Identity, Managers
from hack.devcluster.apiserver.schema import ANYTHING, Node


class SchemaMismatch(ValueError):
    """The configuration does not fit the type; the text names the path."""


def check(value: Any, node: Node, path: str = "") -> None:
    """Refuse unknown fields and list items without keys or with the same keys. Raises SchemaMismatch."""
    if isinstance(value, dict) and node.type in (schema.OBJECT, schema.MAP, schema.ANY):
        closed = node.type == schema.OBJECT and node.values is None and not node.preserve
        for key, item in value.items():
            if closed and key not in node.fields:
                raise SchemaMismatch(f"{path}.{key}: field not declared in schema")
            if isinstance(item, dict | list):
                check(item, node.child(key), f"{path}.{key}")
    elif isinstance(value, list) and node.type == schema.LIST:
        seen: set[str] = set()
        for at, item in enumerate(value):
            check(item, node.items or ANYTHING, f"{path}[{at}]")
            if is_granular_list(node):
                _check_item(item, node, path, at, seen)


def _check_item(item: Any, node: Node, path: str, at: int, seen: set[str]) -> None:
    try:
        element = item_element(item, node)
    except (KeyError, TypeError, AttributeError) as problem:
        names = ", ".join(node.keys)
        raise SchemaMismatch(
            f"{path}: element {at}: associative list with keys has an element that omits key field {names!r}"
        ) from problem
    if element in seen:
        raise SchemaMismatch(f"{path}: duplicate entries for key {fieldsets.describe((element,))}")
    seen.add(element)


def merge(live: Any, config: Any, node: Node) -> Any:
    """`live` with `config` on top; lists of type map and set by item, everything atomic replaced."""
    if node.atomic or config is None:
        return copy.deepcopy(config)
    if isinstance(config, dict) and isinstance(live, dict):
        result = dict(live)
        for key, value in config.items():
            result[key] = merge(result.get(key), value, node.child(key))
        return result
    if isinstance(config, list) and isinstance(live, list) and node.type == schema.LIST and is_granular_list(node):
        return _merge_items(live, config, node)
    return copy.deepcopy(config)


def _merge_items(live: list[Any], config: list[Any], node: Node) -> list[Any]:
    items = node.items or ANYTHING
    before = [(item_element(item, node), item) for item in live]
    known = dict(before)
    applied = {item_element(item, node): item for item in config}
    out: list[Any] = []
    at = 0
    for element, item in applied.items():
        while at < len(before) and before[at][0] not in applied:
            out.append(before[at][1])
            at += 1
        if at < len(before) and before[at][0] == element:
            at += 1
        out.append(merge(known[element], item, items) if element in known else copy.deepcopy(item))
    out.extend(item for element, item in before[at:] if element not in applied)
    return out


def drop(value: Any, node: Node, gone: FieldSet, kept: FieldSet) -> Any:
    """`value` without the members of `gone`; an item or field with something of `kept` below it stays."""
    if isinstance(value, dict):
        result = {}
        for key, item in value.items():
            element = "f:" + key
            if element not in gone:
                result[key] = item
                continue
            left = _drop_member(item, node.child(key), gone[element], kept.get(element))
            if left is not None:
                result[key] = left
        return result
    if isinstance(value, list) and is_granular_list(node):
        out = []
        for item in value:
            element = item_element(item, node)
            left = (
                item
                if element not in gone
                else _drop_member(item, node.items or ANYTHING, gone[element], kept.get(element))
            )
            if left is not None:
                out.append(left)
        return out
    return value


def _drop_member(value: Any, node: Node, gone: FieldSet, kept: FieldSet | None) -> Any:
    whole = not gone or "." in gone
    if whole and kept is None:
        return None
    left = drop(value, node, gone, kept or {})
    return None if isinstance(left, dict | list) and not left and value and kept is None else left


def apply(
    *,
    live: Mapping[str, Any] | None,
    config: dict[str, Any],
    node: Node,
    manager: str,
    api_version: str,
    subresource: str,
    reset: FieldSet,
    force: bool,
    now: str,
) -> tuple[dict[str, Any], Managers]:
    """(merged object, managers). Raises `ApiError` 409 on conflicts, SchemaMismatch on a misfit."""
    wanted = managed.bare(config)
    check(wanted, node)
    managers = managed.decode(live["metadata"].get("managedFields")) if live else {}
    me: Identity = (manager, "Apply", "", subresource)
    mine = fieldsets.of_value(wanted, node)
    if reset:
        mine = fieldsets.without_prefixes(mine, reset) or {}
    if mine.get("f:metadata") == {}:
        del mine["f:metadata"]
    before = managed.bare(live) if live else {"metadata": {}}
    merged = merge(before, wanted, node)
    last = managers.get(me)
    if last is not None:
        merged = _prune(merged, node, last["fieldsV1"], mine, managers, me)
    change = fieldsets.compare(before, merged, node)
    changed = fieldsets.join(change.added, change.modified)
    others = _others(managers, me, changed, change.removed, force=force)
    if mine:
        same = last is not None and last["fieldsV1"] == mine and last["apiVersion"] == api_version
        others[me] = (
            last
            if same and last is not None
            else managed.make_entry(
                manager=manager,
                operation="Apply",
                api_version=api_version,
                subresource=subresource,
                fields=mine,
                now=now,
            )
        )
    return _whole(live, config, merged), others


def _prune(merged: Any, node: Node, last: FieldSet, mine: FieldSet, managers: Managers, me: Identity) -> Any:
    kept: FieldSet | None = mine or None
    for key, entry in managers.items():
        if key != me:
            kept = fieldsets.join(kept, entry["fieldsV1"])
    gone = fieldsets.difference(last, kept) if kept else last
    return drop(merged, node, gone, kept or {}) if gone else merged


def _others(
    managers: Managers, me: Identity, changed: FieldSet | None, removed: FieldSet | None, *, force: bool
) -> Managers:
    result: Managers = {}
    conflicts: list[tuple[dict[str, Any], tuple[str, ...]]] = []
    for key, entry in managers.items():
        if key == me:
            continue
        fields: FieldSet | None = entry["fieldsV1"]
        clash = fieldsets.intersection(entry["fieldsV1"], changed) if changed else None
        if clash:
            conflicts += [(entry, path) for path in fieldsets.paths(clash)]
            fields = fieldsets.difference(entry["fieldsV1"], clash)
        if fields and removed:
            fields = fieldsets.difference(fields, removed)
        if fields:
            result[key] = entry if fields == entry["fieldsV1"] else {**entry, "fieldsV1": fields}
    if conflicts and not force:
        raise conflict_error(conflicts)
    return result


def _whole(live: Mapping[str, Any] | None, config: Mapping[str, Any], merged: dict[str, Any]) -> dict[str, Any]:
    meta = dict(live["metadata"]) if live else dict(config["metadata"])
    for key in list(meta):
        if f"f:{key}" not in managed.STRIPPED["f:metadata"]:
            del meta[key]
    meta.update(merged.pop("metadata", {}))
    return {"apiVersion": config["apiVersion"], "kind": config["kind"], "metadata": meta, **merged}


def _who(entry: Mapping[str, Any]) -> str:
    text = msgspec.json.encode(entry["manager"]).decode()
    if entry.get("subresource"):
        text += f' with subresource "{entry["subresource"]}"'
    if entry["operation"] == "Update":
        text += f" using {entry['apiVersion']}"
        if entry.get("time"):
            text += f" at {entry['time']}"
    return text


def conflict_error(conflicts: list[tuple[dict[str, Any], tuple[str, ...]]]) -> ApiError:
    """409 with one cause per field, in upstream's words."""
    causes = [
        Cause(fieldsets.describe(path), f"conflict with {_who(entry)}", "FieldManagerConflict")
        for entry, path in conflicts
    ]
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
    else:
        lines: list[str] = []
        for who in sorted({_who(entry) for entry, _ in conflicts}):
            lines.append(f"conflicts with {who}:")
            lines += [f"- {fieldsets.describe(path)}" for entry, path in conflicts if _who(entry) == who]
        message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
    return ApiError(409, "Conflict", message, details={"causes": [cause.as_dict() for cause in causes]})
