"""Field sets and server-side apply as pure functions."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.devcluster.apiserver import fieldsets, managed, ssa
from hack.devcluster.apiserver.errors import ApiError
from hack.devcluster.apiserver.schema import Types
from hack.devcluster.apiserver.structural import node_of

Obj = dict[str, Any]
TYPES = Types()
NODE = node_of(
    {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "a": {"type": "string"},
                    "b": {"type": "string"},
                    "free": {"type": "object", "additionalProperties": {"type": "string"}},
                    "atomic": {"type": "array", "items": {"type": "string"}},
                    "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                    "map": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name"],
                        "items": {
                            "type": "object",
                            "required": ["name"],
                            "properties": {
                                "name": {"type": "string"},
                                "v": {"type": "string"},
                                "w": {"type": "string"},
                            },
                        },
                    },
                },
            }
        },
    },
    meta=TYPES.node("V1ObjectMeta"),
    root=True,
)
words = st.sampled_from(["p", "q", "r"])
items = st.lists(words, unique=True, max_size=3).flatmap(
    lambda names: st.tuples(
        *(st.fixed_dictionaries({"name": st.just(name)}, optional={"v": words, "w": words}) for name in names)
    )
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "a": words,
        "b": words,
        "free": st.dictionaries(words, words, min_size=1, max_size=3),
        "atomic": st.lists(words, max_size=2),
        "set": st.lists(words, unique=True, min_size=1, max_size=3),
        "map": items.map(list).filter(bool),
    },
)


def config(spec: Obj) -> Obj:
    body: Obj = {"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "x"}}
    return {**body, "spec": copy.deepcopy(spec)} if spec else body


def apply(live: Obj | None, spec: Obj, manager: str, *, force: bool = False) -> Obj:
    merged, managers = ssa.apply(
        live=live,
        config=config(spec),
        node=NODE,
        manager=manager,
        api_version="g/v1",
        subresource="",
        reset={},
        force=force,
        now="2026-01-01T00:00:00Z",
    )
    merged["metadata"]["managedFields"] = managed.encode(managers)
    return merged


@given(specs)
def test_applying_twice_changes_nothing(spec: Obj) -> None:
    once = apply(None, spec, "m")
    assert apply(once, spec, "m") == once


@given(specs, specs)
def test_the_last_configuration_of_a_sole_manager_wins(first: Obj, second: Obj) -> None:
    after = apply(apply(None, first, "m"), second, "m")
    got, wanted = after.get("spec") or {}, second
    for key in ("a", "b", "free", "atomic"):
        assert got.get(key) == wanted.get(key) or (not got.get(key) and not wanted.get(key))
    assert sorted(got.get("set") or []) == sorted(wanted.get("set") or [])
    assert sorted((got.get("map") or []), key=lambda item: item["name"]) == sorted(
        (wanted.get("map") or []), key=lambda item: item["name"]
    )


@given(specs, specs)
def test_force_never_fails_and_the_forcing_value_stands(first: Obj, second: Obj) -> None:
    after = apply(apply(None, first, "one"), second, "two", force=True)
    for key in ("a", "b", "atomic"):
        if key in second:
            assert after["spec"][key] == second[key]


@given(specs, specs)
def test_a_conflict_is_a_value_that_differs(first: Obj, second: Obj) -> None:
    live = apply(None, first, "one")
    differs = any(key in first and key in second and first[key] != second[key] for key in ("a", "b", "atomic"))
    found: ApiError | None = None
    try:
        apply(live, second, "two")
    except ApiError as problem:
        found = problem
    assert found is not None or not differs
    if found is not None:
        assert found.code == 409
        assert found.details is not None
        assert all(cause["reason"] == "FieldManagerConflict" for cause in found.details["causes"])


def test_another_managers_part_of_an_item_survives() -> None:
    live = apply(None, {"map": [{"name": "p", "v": "1"}]}, "one")
    live = apply(live, {"map": [{"name": "p", "w": "2"}]}, "two")
    assert apply(live, {}, "one")["spec"]["map"] == [{"name": "p", "w": "2"}]


def test_paths_in_messages() -> None:
    live = apply(None, {"map": [{"name": "p", "v": "1"}], "a": "1"}, "one")
    with pytest.raises(ApiError) as caught:
        apply(live, {"map": [{"name": "p", "v": "2"}], "a": "2"}, "two")
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "one":\n- .spec.map[name="p"].v\n- .spec.a'
    )


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"map": [{"v": "1"}]}, "omits key field"),
        ({"map": [{"name": "p"}, {"name": "p"}]}, "duplicate entries"),
        ({"unknown": 1}, ".spec.unknown: field not declared in schema"),
    ],
)
def test_misfits(spec: Obj, text: str) -> None:
    with pytest.raises(ssa.SchemaMismatch, match=text.replace("[", r"\[")):
        apply(None, spec, "m")


def test_keys_with_defaults_are_filled_in() -> None:
    node = TYPES.node("V1Service")
    body = {"spec": {"ports": [{"port": 80}]}}
    assert list(fieldsets.of_value(body, node)["f:spec"]["f:ports"]) == ['k:{"port":80,"protocol":"TCP"}']


trees = st.recursive(
    st.just({}), lambda inner: st.dictionaries(st.sampled_from(["f:a", "f:b", "f:c"]), inner, min_size=1, max_size=3)
)


@given(trees.filter(bool), trees.filter(bool))
def test_algebra_of_sets(left: Obj, right: Obj) -> None:
    def members(tree: Obj | None) -> set[tuple[str, ...]]:
        return set(fieldsets.paths(tree)) if tree else set()

    assert members(fieldsets.join(left, right)) == members(left) | members(right)
    assert members(fieldsets.difference(left, right)) == members(left) - members(right)
    assert members(fieldsets.intersection(left, right)) == members(left) & members(right)


def test_an_update_takes_fields_from_an_applier() -> None:
    live = apply(None, {"a": "1", "b": "1"}, "one")
    new = copy.deepcopy(live)
    new["spec"]["a"] = "2"
    managed.update(
        resource_status=False,
        old=live,
        new=new,
        sent=None,
        node=NODE,
        manager="hand",
        api_version="g/v1",
        subresource="",
        typed=False,
        now="2026-01-01T00:00:01Z",
    )
    owners = {entry["manager"]: entry["fieldsV1"] for entry in new["metadata"]["managedFields"]}
    assert owners == {"one": {"f:spec": {"f:b": {}}}, "hand": {"f:spec": {"f:a": {}}}}
