"""Strategic merge patch: a merge patch that knows how the lists of built-in kinds merge.

Directives: `$patch: replace|delete|merge`, `$setElementOrder/<list>`, `$deleteFromPrimitiveList/<list>`, `$retainKeys`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from hack.devcluster.apiserver import schema
from hack.devcluster.apiserver.errors import bad_request
from hack.devcluster.apiserver.schema import ANYTHING, Node

_ORDER, _DELETE, _RETAIN, _PATCH = "$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys", "$patch"


def strategic_merge(target: Any, patch: Any, node: Node) -> Any:
    """A new object; `target` is not changed. 400 for a malformed directive."""
    if not isinstance(patch, Mapping):
        raise bad_request("error decoding patch: a strategic merge patch is an object")
    return _merge_object(target if isinstance(target, Mapping) else {}, patch, node)


def _merge_object(target: Mapping[str, Any], patch: Mapping[str, Any], node: Node) -> dict[str, Any]:
    match patch.get(_PATCH):
        case "replace":
            return {key: copy.deepcopy(value) for key, value in patch.items() if key != _PATCH}
        case "delete":
            return {}
        case None | "merge":
            pass
        case other:
            raise bad_request(f"Unknown patch type found: {other}")
    result = dict(target)
    retained = patch.get(_RETAIN)
    if retained is not None:
        result = {key: value for key, value in result.items() if key in retained}
    for key, value in patch.items():
        if key.startswith("$"):
            if key.startswith(_DELETE):
                name = key[len(_DELETE) :]
                result[name] = [item for item in result.get(name) or () if item not in value]
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = _merge_value(result.get(key), value, node.child(key))
    for key, order in patch.items():
        if key.startswith(_ORDER):
            name = key[len(_ORDER) :]
            if result.get(name):
                result[name] = _ordered(result[name], order, node.child(name))
    return result


def _merge_value(target: Any, patch: Any, node: Node) -> Any:
    if isinstance(patch, Mapping):
        base = target if isinstance(target, Mapping) else {}
        return _merge_object(base, patch, node)
    if isinstance(patch, list):
        if node.type == schema.LIST and "merge" in node.strategy.split(","):
            return _merge_list(target if isinstance(target, list) else [], patch, node)
        return [_plain(item, node.items or ANYTHING) for item in patch if not _is_directive(item)]
    return copy.deepcopy(patch)


def _is_directive(item: Any) -> bool:
    return isinstance(item, Mapping) and item.keys() == {_PATCH}


def _plain(item: Any, node: Node) -> Any:
    return _merge_object({}, item, node) if isinstance(item, Mapping) else copy.deepcopy(item)


def _merge_list(target: list[Any], patch: list[Any], node: Node) -> list[Any]:
    if any(_is_directive(item) and item[_PATCH] == "replace" for item in patch):
        return [_plain(item, node.items or ANYTHING) for item in patch if not _is_directive(item)]
    if not node.merge_key:
        return [*target, *(copy.deepcopy(item) for item in patch if item not in target)]
    key = node.merge_key
    result = list(target)
    for item in patch:
        if not isinstance(item, Mapping) or key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        at = next((i for i, old in enumerate(result) if isinstance(old, Mapping) and old.get(key) == item[key]), None)
        if item.get(_PATCH) == "delete":
            result = [old for old in result if not (isinstance(old, Mapping) and old.get(key) == item[key])]
        elif at is None:
            result.append(_plain(item, node.items or ANYTHING))
        else:
            result[at] = _merge_object(result[at], item, node.items or ANYTHING)
    return result


def _ordered(items: list[Any], order: list[Any], node: Node) -> list[Any]:
    key = node.merge_key

    def name(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, Mapping) else item

    wanted = [name(item) for item in order]
    listed = sorted((item for item in items if name(item) in wanted), key=lambda item: wanted.index(name(item)))
    out: list[Any] = []
    rest = [(at, item) for at, item in enumerate(items) if name(item) not in wanted]
    positions = {id(item): at for at, item in enumerate(items)}
    for item in listed:
        while rest and rest[0][0] < positions[id(item)]:
            out.append(rest.pop(0)[1])
        out.append(item)
    return out + [item for _, item in rest]
