"""JSON patch, merge patch and strategic merge patch as pure functions."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.devcluster.apiserver.errors import ApiError
from hack.devcluster.apiserver.patches import json_patch, merge_patch, same
from hack.devcluster.apiserver.schema import Types
from hack.devcluster.apiserver.strategic import strategic_merge

Obj = dict[str, Any]
POD = Types().node("V1Pod")

leaf = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab/~", max_size=3)
value = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~", max_size=3), inner, max_size=3)
)


# RFC 7396, appendix A
@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_of_the_rfc(target: Any, patch: Any, expected: Any) -> None:
    assert merge_patch(target, patch) == expected


@given(value, value)
def test_merge_patch_is_idempotent_and_pure(target: Any, patch: Any) -> None:
    before = copy.deepcopy(target)
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
    assert same(target, before)


@given(st.dictionaries(st.text("ab/~", max_size=3), value, max_size=3), st.text("ab/~", max_size=3), value)
def test_json_patch_add_then_remove(target: Obj, key: str, new: Any) -> None:
    path = "/" + key.replace("~", "~0").replace("/", "~1")
    added = json_patch(target, [{"op": "add", "path": path, "value": new}, {"op": "test", "path": path, "value": new}])
    assert added == {**target, key: new}
    removed = json_patch(added, [{"op": "remove", "path": path}])
    assert removed == {name: item for name, item in target.items() if name != key}


def test_json_patch_on_lists() -> None:
    steps = [
        {"op": "add", "path": "/l/-", "value": 3},
        {"op": "add", "path": "/l/0", "value": 0},
        {"op": "move", "from": "/l/1", "path": "/l/2"},
        {"op": "copy", "from": "/l/0", "path": "/first"},
        {"op": "replace", "path": "/l/0", "value": 9},
    ]
    assert json_patch({"l": [1, 2]}, steps) == {"l": [9, 2, 1, 3], "first": 0}


@pytest.mark.parametrize(
    "step",
    [
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/l/7", "value": 1},
        {"op": "add", "path": "/l/9", "value": 1},
        {"op": "add", "path": "no-slash", "value": 1},
        {"op": "test", "path": "/l/0", "value": True},
        {"op": "odd", "path": "/l"},
    ],
)
def test_json_patch_that_does_not_fit(step: Obj) -> None:
    target = {"l": [1]}
    with pytest.raises(ApiError) as caught:
        json_patch(target, [{"op": "add", "path": "/x", "value": 1}, step])
    assert caught.value.code == 422
    assert target == {"l": [1]}


def pod(*containers: Obj, **spec: Any) -> Obj:
    return {"metadata": {"finalizers": ["a"]}, "spec": {"containers": list(containers), **spec}}


def test_strategic_merge_by_merge_key() -> None:
    target = pod({"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"})
    patch = {"spec": {"containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}]}]}}
    after = strategic_merge(target, patch, POD)["spec"]["containers"]
    assert after[0] == {"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}
    assert after[1] == {"name": "b"}


def test_strategic_delete_replace_and_order() -> None:
    target = pod({"name": "a"}, {"name": "b"}, {"name": "c"})
    gone = {"spec": {"containers": [{"$patch": "delete", "name": "b"}]}}
    assert [item["name"] for item in strategic_merge(target, gone, POD)["spec"]["containers"]] == ["a", "c"]
    fresh = {"spec": {"containers": [{"name": "z"}, {"$patch": "replace"}]}}
    assert strategic_merge(target, fresh, POD)["spec"]["containers"] == [{"name": "z"}]
    order = {"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}, {"name": "b"}]}}
    assert [item["name"] for item in strategic_merge(target, order, POD)["spec"]["containers"]] == ["c", "a", "b"]


def test_strategic_primitive_lists_and_retained_keys() -> None:
    after = strategic_merge(
        pod(), {"metadata": {"finalizers": ["b"], "$deleteFromPrimitiveList/finalizers": ["a"]}}, POD
    )
    assert sorted(after["metadata"]["finalizers"]) in (["b"], ["a", "b"])
    node = Types().node("V1Deployment")
    target = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic_merge(target, patch, node) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_strategic_atomic_lists_are_replaced() -> None:
    target = pod({"name": "a", "command": ["x", "y"]})
    patch = {"spec": {"containers": [{"name": "a", "command": ["z"]}]}}
    assert strategic_merge(target, patch, POD)["spec"]["containers"][0]["command"] == ["z"]
