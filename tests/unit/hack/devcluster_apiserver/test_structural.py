"""CRD schemas: pruning, defaults, validation words, durations, formats, definitions that are refused."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.devcluster.apiserver import celcheck, celrules, crds
from hack.devcluster.apiserver.errors import Cause
from hack.devcluster.apiserver.schema import Types
from hack.devcluster.apiserver.structural import fill_defaults, node_of, prune
from hack.devcluster.apiserver.validating import FORMATS, validate

Obj = dict[str, Any]
TYPES = Types()
RAW: Obj = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "n"},
        "deep": {
            "type": "object",
            "default": {},
            "properties": {
                "count": {"type": "integer", "default": 3},
                "maybe": {"type": "string", "nullable": True, "default": "d"},
            },
        },
        "any": {"x-kubernetes-preserve-unknown-fields": True},
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"v": {"type": "integer"}}}},
    },
}
NODE = node_of(RAW)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "deep", "any", "map", "count", "v", "odd"]), inner, max_size=4)
    ),
)


@given(st.dictionaries(st.sampled_from(["name", "deep", "any", "map", "odd"]), json_values, max_size=4))
def test_pruning_and_defaulting_are_idempotent(value: Obj) -> None:
    prune(value, NODE, [])
    fill_defaults(value, NODE)
    once = copy.deepcopy(value)
    unknown: list[str] = []
    prune(value, NODE, unknown)
    fill_defaults(value, NODE)
    assert value == once
    assert unknown == []


@given(json_values)
def test_validation_never_fails_on_odd_values(value: Any) -> None:
    causes: list[Cause] = []
    validate(value, NODE, "spec", causes)
    assert all(cause.field.startswith("spec") for cause in causes)


def test_defaults_of_defaults_and_nulls() -> None:
    value: Obj = {"deep": {"count": None, "maybe": None}}
    fill_defaults(value, NODE)
    assert value == {"name": "n", "deep": {"count": 3, "maybe": None}}


def test_unknown_paths_are_named() -> None:
    value = {"odd": 1, "any": {"free": 1}, "map": {"k": {"v": 1, "w": 2}}}
    unknown: list[str] = []
    prune(value, NODE, unknown)
    assert unknown == ["odd", "map.k.w"]
    assert value == {"any": {"free": 1}, "map": {"k": {"v": 1}}}


@pytest.mark.parametrize(
    ("raw", "value", "words"),
    [
        ({"type": "string", "maxLength": 2}, "abc", "Too long: may not be more than 2 bytes"),
        ({"type": "string", "minLength": 2}, "a", 'Invalid value: "a": f in body should be at least 2 chars long'),
        ({"type": "string", "pattern": "^a$"}, "b", "Invalid value: \"b\": f in body should match '^a$'"),
        ({"type": "integer", "minimum": 1}, 0, "Invalid value: 0: f in body should be greater than or equal to 1"),
        ({"type": "integer", "maximum": 1}, 2, "Invalid value: 2: f in body should be less than or equal to 1"),
        ({"type": "array", "items": {}, "maxItems": 1}, [1, 2], "Too many: 2: must have at most 1 items"),
        ({"type": "integer"}, "x", 'Invalid value: "string": f in body must be of type integer: "string"'),
        ({"type": "string", "enum": ["a", "b"]}, "c", 'Unsupported value: "c": supported values: "a", "b"'),
        ({"type": "object", "required": ["x"]}, {}, "Required value"),
        (
            {"type": "string", "anyOf": [{"maxLength": 1}, {"pattern": "^z"}]},
            "ab",
            "must validate at least one schema (anyOf)",
        ),
        ({"type": "integer", "oneOf": [{"minimum": 1}, {"minimum": 2}]}, 3, "one and only one schema (oneOf)"),
        ({"type": "string", "not": {"pattern": "a"}}, "a", "must not validate the schema (not)"),
    ],
)
def test_words_of_causes(raw: Obj, value: Any, words: str) -> None:
    causes: list[Cause] = []
    validate(value, node_of(raw), "f", causes)
    assert len(causes) == 1
    assert words in causes[0].message


def test_a_pattern_ends_at_the_end() -> None:
    causes: list[Cause] = []
    validate("a\n", node_of({"type": "string", "pattern": "^a$"}), "f", causes)
    assert causes


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("date-time", "2026-01-01T00:00:00.5+06:00", "2026-01-01"),
        ("date", "2026-02-28", "2026-02-30"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
        ("uuid", "2f1e4fc0-81fd-11da-9156-00036a0f876a", "x"),
        ("byte", "YWI=", "%%%"),
        ("uri", "https://example.dev/x", "no uri"),
        ("duration", "1h30m", "forever!"),
    ],
)
def test_formats(form: str, good: str, bad: str) -> None:
    assert FORMATS[form](good)
    assert not FORMATS[form](bad)


@given(st.integers(0, 10**6))
def test_durations(seconds: int) -> None:
    assert celrules.parse_duration(f"{seconds}s") == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "2 minutes", "1h-3m", "s"])
def test_wrong_durations(text: str) -> None:
    with pytest.raises(ValueError):
        celrules.parse_duration(text)


@pytest.mark.parametrize(
    ("rule", "value", "ok"),
    [
        ("self.all(x, x > 0)", [1, 2], True),
        ("self.isSorted()", [2, 1], False),
        ("self.sum() == 3", [1, 2], True),
        ("self.max() - self.min() == 1", [1, 2], True),
        ("self.size() < 2", [1, 2], False),
    ],
)
def test_list_functions(rule: str, value: Any, ok: bool) -> None:
    raw = {"type": "array", "items": {"type": "integer"}, "x-kubernetes-validations": [{"rule": rule}]}
    node = node_of(raw)
    assert list(celcheck.prepare(node)) == []
    causes = celrules.validate(value, None, node, has_old=False).causes
    assert (not causes) is ok
    assert ok or causes[0].message == f"Invalid value: failed rule: {rule}"


def definition(schema: Obj) -> Obj:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "widgets", "kind": "Widget", "singular": "widget", "listKind": "WidgetList"}
    spec = {"group": "example.dev", "scope": "Namespaced", "names": names, "versions": [version]}
    return {"metadata": {"name": "widgets.example.dev"}, "spec": spec}


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({"properties": {}}, "openAPIV3Schema.type"),
        ({"type": "object", "properties": {"a": {}}}, "properties[a].type"),
        ({"type": "object", "properties": {"a": {"type": "array"}}}, "properties[a].items"),
        ({"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}}, "properties[a].default"),
        (
            {
                "type": "object",
                "properties": {
                    "a": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["k"],
                        "items": {"type": "object", "properties": {"k": {"type": "string"}}},
                    }
                },
            },
            "items.properties[k].default",
        ),
        ({"type": "object", "x-kubernetes-validations": [{"rule": "self.nope(("}]}, "x-kubernetes-validations[0].rule"),
    ],
)
def test_definitions_that_are_refused(schema: Obj, field: str) -> None:
    assert [cause.field for cause in crds.check(definition(schema), TYPES) if cause.field.endswith(field)]


def test_a_plain_definition_is_taken() -> None:
    assert crds.check(definition(RAW), TYPES) == []
