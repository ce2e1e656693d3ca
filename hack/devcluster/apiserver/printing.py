"""The Table representation behind `kubectl get`: rows, columns, and the cells of custom resources by JSON path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from hack.devcluster.apiserver import columns, jsonpath
from hack.devcluster.apiserver.ages import age
from hack.devcluster.apiserver.kinds import Resource

Obj = dict[str, Any]
_NAME = "Name must be unique within a namespace. Is required when creating resources."


def partial(obj: Obj, version: str) -> Obj:
    """PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": obj["metadata"]}


def table(resource: Resource, objects: Sequence[Obj], *, version: str, include: str, now: datetime) -> Obj:
    """The Table of some objects."""
    definitions, cells = _layout(resource, now)
    rows = []
    for obj in objects:
        row: Obj = {"cells": cells(obj)}
        if include != "None":
            row["object"] = obj if include == "Object" else partial(obj, version)
        rows.append(row)
    meta = {"resourceVersion": objects[0]["metadata"].get("resourceVersion", "")} if len(objects) == 1 else {}
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": meta,
        "columnDefinitions": definitions,
        "rows": rows,
    }


def _definition(name: str, *, kind: str = "string", form: str = "", priority: int = 0, text: str = "") -> Obj:
    return {"name": name, "type": kind, "format": form, "description": text or name, "priority": priority}


def _layout(resource: Resource, now: datetime) -> tuple[list[Obj], Callable[[Obj], list[Any]]]:
    first = _definition("Name", form="name", text=_NAME)
    if resource.crd is not None and resource.crd.columns:
        return [first, *(_crd_definition(column) for column in resource.crd.columns)], lambda obj: [
            obj["metadata"]["name"],
            *(_crd_cell(column, obj, now) for column in resource.crd.columns),
        ]
    layout = columns.BUILTIN.get(resource.store_key)
    if layout is None or resource.crd is not None:
        made = _definition("Age", kind="date" if resource.crd is not None else "string")
        if resource.crd is not None:
            return [first, made], lambda obj: [
                obj["metadata"]["name"],
                age(obj["metadata"].get("creationTimestamp"), now),
            ]
        made = _definition("Created At")
        return [first, made], lambda obj: [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]
    names = [
        _definition(
            name, priority=priority, form="name" if name == "Name" else "", text=_NAME if name == "Name" else ""
        )
        for name, priority in layout.heads
    ]
    return names, lambda obj: layout.cells(
        columns.core_event(obj) if resource.plural == "events" else obj, lambda stamp: age(stamp, now)
    )


def _crd_definition(column: Obj) -> Obj:
    return {
        "name": column["name"],
        "type": column["type"],
        "format": column.get("format", ""),
        "description": column.get("description")
        or f"Custom resource definition column (in JSONPath format): {column['jsonPath']}",
        "priority": column.get("priority", 0),
    }


def _crd_cell(column: Obj, obj: Obj, now: datetime) -> Any:
    found = jsonpath.find(obj, column["jsonPath"])
    if not found or found[0] is None:
        return None
    value = found[0]
    match column["type"]:
        case "date":
            return age(value, now) if isinstance(value, str) else "<unknown>"
        case "integer":
            return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "number":
            return value if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "boolean":
            return value if isinstance(value, bool) else None
    if len(found) > 1:
        return ",".join(jsonpath.show(item) for item in found)
    return jsonpath.show(value)
