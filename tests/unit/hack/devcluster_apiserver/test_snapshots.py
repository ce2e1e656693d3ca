"""Snapshots of a collection, duplicate fields, ratcheting, and what covers a rule."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.devcluster.apiserver import duplicates, ratchet
from hack.devcluster.apiserver.celcheck import undefined_field
from hack.devcluster.apiserver.errors import Cause
from hack.devcluster.apiserver.store import Store
from hack.devcluster.apiserver.structural import node_of

Obj = dict[str, Any]


def forget(*_: Any) -> None:
    """No journal."""


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=30))
def test_a_snapshot_is_the_state_of_its_version(steps: list[tuple[str, bool]]) -> None:
    store = Store(selectable=lambda *_: {}, journal=forget)
    collection = store.collection("things")
    states: dict[int, dict[str, bytes]] = {0: {}}
    for name, keep in steps:
        stored = collection.get("ns", name)
        if keep:
            store.put("things", {"metadata": {"name": name, "namespace": "ns"}})
        elif stored is not None:
            store.remove("things", stored)
        states[store.version] = {item.name: item.raw for item in collection.scan()}
    for version, state in states.items():
        assert {item.name: item.raw for item in collection.snapshot(version, "ns")} == state


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        pytest.param('{"a":1,"b":{"c":1,"c":2}}', ["b.c"], id="nested"),
        pytest.param('{"a":[{"b":1,"b":1}],"a":[{"b":1,"b":1}]}', ["a", "a[0].b"], id="list"),
        pytest.param('{"a":"x\\"a\\":1"}', [], id="text"),
        pytest.param("{", [], id="no JSON"),
    ],
)
def test_duplicate_fields(raw: str, found: list[str]) -> None:
    assert duplicates.paths(raw.encode()) == found


@given(st.dictionaries(st.text(max_size=3), st.integers() | st.lists(st.text(max_size=2), max_size=3), max_size=5))
def test_plain_objects_have_no_duplicates(value: Obj) -> None:
    assert duplicates.paths(json.dumps(value).encode()) == []


ITEM = {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "n": {"type": "integer"}}}
SCHEMA: Obj = {
    "type": "object",
    "properties": {
        "a": {"type": "integer"},
        "l": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": ITEM},
    },
}


@pytest.mark.parametrize(
    ("field", "kept"),
    [
        pytest.param("a", True, id="changed"),
        pytest.param("l[1].n", False, id="same item at another place"),
        pytest.param("l[0].n", True, id="new item"),
        pytest.param("b", True, id="missing in a changed object"),
    ],
)
def test_ratcheting(field: str, kept: bool) -> None:
    new = {"a": 2, "l": [{"k": "y", "n": 1}, {"k": "x", "n": 1}]}
    old = {"a": 1, "l": [{"k": "x", "n": 1}]}
    stand, passed = ratchet.split([Cause(field, "x")], new, old, node_of(SCHEMA))
    assert (bool(stand), bool(passed)) == (kept, not kept)


@pytest.mark.parametrize(
    ("rule", "known"),
    [
        pytest.param("self.a > 0 && self.l.size() > 1", True, id="known"),
        pytest.param("has(self.b)", False, id="unknown"),
        pytest.param("'self.b' == 'x' || self.a == 1", True, id="inside a text"),
        pytest.param("self.l.all(i, i.zz == 1)", True, id="loop variables are left to the evaluator"),
        pytest.param("oldSelf.b == 1", False, id="old value"),
    ],
)
def test_undefined_fields(rule: str, known: bool) -> None:
    assert (undefined_field(rule, node_of(SCHEMA)) == "") is known
