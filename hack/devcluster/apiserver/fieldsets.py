"""Sets of field paths in the FieldsV1 form, and their algebra.

A set is a nested dict exactly as `managedFields[].fieldsV1` writes it: a leaf `{}` or a key `.` marks a member. Path
elements: `f:name`, `k:{"name":"web"}` (list item by keys), `v:"x"` (set item). Semantics follow
structured-merge-diff: an atomic value is one path, an item of an associative list and a key of a free map are members
themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from hack.devcluster.apiserver import schema
from hack.devcluster.apiserver.patches import same
from hack.devcluster.apiserver.schema import ANYTHING, Node

FieldSet = dict[str, Any]
_DOT = "."


def item_element(item: Any, node: Node) -> str:
    """The path element of a list item. KeyError or TypeError when the item lacks its keys."""
    if node.list_type == "set":
        return "v:" + msgspec.json.encode(item).decode()
    keys = {key: item.get(key, node.key_defaults.get(key)) for key in sorted(node.keys)}
    if all(value is None for value in keys.values()):
        raise KeyError(", ".join(node.keys))
    return "k:" + msgspec.json.encode({key: value for key, value in keys.items() if value is not None}).decode()


def is_granular_list(node: Node) -> bool:
    """Lists whose items are merged."""
    return node.list_type in ("map", "set")


def of_value(value: Any, node: Node) -> FieldSet:
    """The set of an applied configuration. A scalar or atomic value gives `{}`: the path itself is the member."""
    if node.atomic:
        return {}
    if isinstance(value, dict):
        return _of_map(value, node)
    if isinstance(value, list) and node.type == schema.LIST and is_granular_list(node):
        items: FieldSet = {}
        for item in value:
            inner = of_value(item, node.items or ANYTHING)
            items[item_element(item, node)] = {_DOT: {}, **inner} if inner else {}
        return items
    return {}


def _of_map(value: dict[str, Any], node: Node) -> FieldSet:
    found: FieldSet = {}
    for key, item in value.items():
        child = node.child(key)
        inner = of_value(item, child) if isinstance(item, dict | list) else {}
        if inner and key not in node.fields:
            inner = {_DOT: {}, **inner}
        elif not inner and isinstance(item, list) and is_granular_list(child) and child.type == schema.LIST:
            continue  # an empty associative list owns nothing
        found["f:" + key] = inner
    return found


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """Members of either."""
    if not left or not right:
        # One side is a bare leaf: a member. It must stay one next to the other side's children.
        other = left or right
        return {_DOT: {}, **other} if other else {}
    return _merge(left, right)


def join(left: FieldSet | None, right: FieldSet | None) -> FieldSet | None:
    """`union` where None is the empty set."""
    if left is None or right is None:
        return right if left is None else left
    return _merge(left, right)


def _merge(left: FieldSet, right: FieldSet) -> FieldSet:
    result = dict(left)
    for key, inner in right.items():
        if key not in result:
            result[key] = inner
        elif key != _DOT:
            result[key] = union(result[key], inner)
    return result


def _member(tree: FieldSet) -> bool:
    return not tree or _DOT in tree


def difference(left: FieldSet, right: FieldSet) -> FieldSet | None:
    """Members of `left` that are not members of `right`; None when none is left."""
    result: FieldSet = {}
    own = _member(left) and not _member(right)
    for key, inner in left.items():
        if key == _DOT:
            continue
        kept = difference(inner, right[key]) if key in right else inner
        if kept is not None:
            result[key] = kept
    if own:
        return {_DOT: {}, **result} if result else {}
    return result or None


def intersection(left: FieldSet, right: FieldSet) -> FieldSet | None:
    """Members of both; None when there is none."""
    result: FieldSet = {}
    for key, inner in left.items():
        if key != _DOT and key in right:
            kept = intersection(inner, right[key])
            if kept is not None:
                result[key] = kept
    if _member(left) and _member(right):
        return {_DOT: {}, **result} if result else {}
    return result or None


def without_prefixes(tree: FieldSet, prefixes: FieldSet) -> FieldSet | None:
    """Drop every member at or below a member of `prefixes` (upstream: RecursiveDifference)."""
    result: FieldSet = {}
    if _DOT in tree:
        result[_DOT] = {}
    for key, inner in tree.items():
        if key == _DOT:
            continue
        cut = prefixes.get(key)
        if cut is None:
            result[key] = inner
        elif not _member(cut):
            kept = without_prefixes(inner, cut) if inner else inner
            if kept is not None:
                result[key] = kept
    return result or None


def paths(tree: FieldSet, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every member, as a tuple of elements."""
    if _member(tree) and prefix:
        yield prefix
    for key, inner in tree.items():
        if key != _DOT:
            yield from paths(inner, (*prefix, key))


def describe(path: tuple[str, ...]) -> str:
    """A path as error messages show it: `.spec.containers[name="web"].image`."""
    text = ""
    for element in path:
        kind, body = element[:2], element[2:]
        if kind == "f:":
            text += "." + body
        elif kind == "v:":
            text += f"[={body}]"
        else:
            keys = msgspec.json.decode(body)
            text += "[" + ",".join(f"{key}={msgspec.json.encode(value).decode()}" for key, value in keys.items()) + "]"
    return text


class Comparison:
    """Result of `compare`: trees of added, modified and removed members; None when empty."""

    __slots__ = ("added", "modified", "removed")

    def __init__(self) -> None:
        self.added: FieldSet | None = None
        self.modified: FieldSet | None = None
        self.removed: FieldSet | None = None

    @property
    def same(self) -> bool:
        """No difference at all."""
        return self.added is None and self.modified is None and self.removed is None


def compare(old: Any, new: Any, node: Node) -> Comparison:
    """What changed between two versions of an object (roots are dicts)."""
    result = Comparison()
    added: FieldSet = {}
    modified: FieldSet = {}
    removed: FieldSet = {}
    _compare_map(old, new, node, added, modified, removed)
    result.added, result.modified, result.removed = added or None, modified or None, removed or None
    return result


def _whole(value: Any, node: Node) -> FieldSet:
    """The set of a value that came or went as a whole: unlike `of_value`, containers are members too."""
    if node.atomic or not isinstance(value, dict | list) or not value:
        return {}
    if isinstance(value, dict):
        return {_DOT: {}, **{"f:" + key: _whole(item, node.child(key)) for key, item in value.items()}}
    if node.type == schema.LIST and is_granular_list(node):
        return {_DOT: {}, **{item_element(item, node): _whole(item, node.items or ANYTHING) for item in value}}
    return {}


def _compare_map(old: Any, new: Any, node: Node, added: FieldSet, modified: FieldSet, removed: FieldSet) -> None:
    for key, value in new.items():
        if key in old:
            _compare_value("f:" + key, old[key], value, node.child(key), added, modified, removed)
        else:
            added["f:" + key] = _whole(value, node.child(key))
    for key, value in old.items():
        if key not in new:
            removed["f:" + key] = _whole(value, node.child(key))


def _compare_value(
    element: str, old: Any, new: Any, node: Node, added: FieldSet, modified: FieldSet, removed: FieldSet
) -> None:
    if old == new and same(old, new):
        return
    maps = isinstance(old, dict) and isinstance(new, dict) and not node.atomic
    lists = isinstance(old, list) and isinstance(new, list) and node.type == schema.LIST and is_granular_list(node)
    if not maps and not lists:
        modified[element] = {}
        return
    plus: FieldSet = {}
    changed: FieldSet = {}
    minus: FieldSet = {}
    if maps:
        _compare_map(old, new, node, plus, changed, minus)
    else:
        _compare_items(old, new, node, plus, changed, minus)
    for target, tree in ((added, plus), (modified, changed), (removed, minus)):
        if tree:
            target[element] = tree


def _compare_items(old: Any, new: Any, node: Node, added: FieldSet, modified: FieldSet, removed: FieldSet) -> None:
    items = node.items or ANYTHING
    before = {item_element(item, node): item for item in old}
    after = {item_element(item, node): item for item in new}
    for element, item in after.items():
        if element in before:
            _compare_value(element, before[element], item, items, added, modified, removed)
        else:
            added[element] = _whole(item, items)
    for element, item in before.items():
        if element not in after:
            removed[element] = _whole(item, items)
