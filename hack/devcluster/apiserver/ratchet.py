"""Ratcheting: an update that leaves an invalid part of a custom resource as it was is not refused for that part.

A cause names a path; when the value at that path, or the smallest thing around it that can be found in the old object,
is the same in both, the cause only warns. Items of a list are found again by their keys, never by position. Source:
CRDValidationRatcheting (on since 1.33); faults of `required`-like and size keywords belong to the object that has them.
"""

from __future__ import annotations

import re
from typing import Any

from hack.devcluster.apiserver import fieldsets, schema
from hack.devcluster.apiserver.errors import Cause
from hack.devcluster.apiserver.schema import Node

_STEP = re.compile(r"\[(\d+)\]|\[([^\]]*)\]|([^.\[\]]+)")
_MISSING = object()


def split(causes: list[Cause], new: Any, old: Any, node: Node) -> tuple[list[Cause], list[Cause]]:
    """(causes that stand, causes of what did not change)."""
    if old is None or not causes:
        return causes, []
    kept: list[Cause] = []
    ratcheted: list[Cause] = []
    for cause in causes:
        (ratcheted if _unchanged(cause, new, old, node) else kept).append(cause)
    return kept, ratcheted


def _unchanged(cause: Cause, new: Any, old: Any, node: Node) -> bool:
    for index, key, name in _STEP.findall(cause.field):
        if isinstance(new, list) and index:
            found = _item(new, old, int(index), node)
            node = node.items or schema.ANYTHING
        elif isinstance(new, dict) and isinstance(old, dict):
            step = name or key or index
            if step not in new:  # a required field that is missing: it is the object's fault
                break
            found = (new[step], old.get(step, _MISSING))
            node = node.child(step)
        else:
            return False
        new, old = found
        if old is _MISSING:
            return False
    return bool(new == old)


def _item(new: list[Any], old: Any, index: int, node: Node) -> tuple[Any, Any]:
    if index >= len(new) or not isinstance(old, list) or node.list_type != "map":
        return None, _MISSING
    try:
        wanted = fieldsets.item_element(new[index], node)
        return new[index], next((item for item in old if fieldsets.item_element(item, node) == wanted), _MISSING)
    except (KeyError, AttributeError, TypeError):
        return None, _MISSING
