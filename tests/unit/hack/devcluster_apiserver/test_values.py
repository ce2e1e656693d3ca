"""Selectors, quantities, times, JSON paths, tables, protobuf, types: the small pure parts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.devcluster import generate_schemas
from hack.devcluster.apiserver import ages, jsonpath, printing, protobuf, quantity, schema
from hack.devcluster.apiserver.conform import WrongType, conform
from hack.devcluster.apiserver.errors import ApiError
from hack.devcluster.apiserver.kinds import BUILTINS, version_rank
from hack.devcluster.apiserver.selectors import match_selector, parse_fields, parse_labels

TYPES = schema.Types()


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("a=1", {"a": "1"}, True),
        ("a==1,b!=2", {"a": "1", "b": "2"}, False),
        ("b!=2", {}, True),
        ("a in (1, 2)", {"a": "2"}, True),
        ("a notin (1,2)", {}, True),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("n>3,n<9", {"n": "5"}, True),
        ("n>3", {"n": "x"}, False),
        ("app.kubernetes.io/name in (web)", {"app.kubernetes.io/name": "web"}, True),
        ("a=", {"a": ""}, True),
    ],
)
def test_label_selectors(text: str, labels: dict[str, str], expected: bool) -> None:
    matcher = parse_labels(text)
    assert matcher is not None
    assert matcher(labels) is expected


@pytest.mark.parametrize("text", ["a in (", "a=b=c", "=x", "a in 1", "a b", "n>x"])
def test_wrong_label_selectors(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_labels(text)
    assert caught.value.code == 400


def test_field_selectors() -> None:
    matcher = parse_fields("status.phase!=Running,spec.nodeName=n1", frozenset({"status.phase", "spec.nodeName"}))
    assert matcher is not None
    assert matcher({"status.phase": "Pending", "spec.nodeName": "n1"})
    assert not matcher({"status.phase": "Running", "spec.nodeName": "n1"})
    with pytest.raises(ApiError, match="is not a known field selector"):
        parse_fields("spec.odd=1", frozenset())


def test_selector_objects() -> None:
    chosen = {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["2"]}]}
    assert match_selector(chosen, {"a": "1"})
    assert not match_selector(chosen, {"a": "1", "b": "2"})
    assert match_selector({}, {"x": "y"})
    assert not match_selector(None, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[("1", "1"), (1, "1"), ("1000m", "1"), ("0.5", "500m"), ("1.5", "1500m"), ("1024Mi", "1Gi"), ("1000", "1k")],
        *[
            ("1e3", "1e3"),
            ("0", "0"),
            ("0Mi", "0"),
            ("1.5Gi", "1536Mi"),
            ("100M", "100M"),
            ("2000k", "2M"),
            (0.25, "250m"),
        ],
    ],
)
def test_quantities(text: Any, expected: str) -> None:
    assert quantity.canonical(text) == expected


@given(st.integers(0, 10**12), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi"]))
def test_canonical_quantities_keep_their_value(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    once = quantity.canonical(text)
    assert quantity.value_of(once) == quantity.value_of(text)
    assert quantity.canonical(once) == once


@pytest.mark.parametrize("text", ["", "x", "1x", "--1", "1 Gi"])
def test_wrong_quantities(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        quantity.value_of(text)


def test_negative_quantity_value() -> None:
    assert quantity.value_of("-1.5k") == Decimal(-1500)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *[(0, "0s"), (119, "119s"), (120, "2m"), (130, "2m10s"), (600, "10m"), (10799, "179m"), (10800, "3h")],
        *[(11000, "3h3m"), (28800, "8h"), (172800, "2d"), (180000, "2d2h"), (691200, "8d"), (-5, "<invalid>")],
    ],
)
def test_ages(seconds: int, text: str) -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    assert ages.age((now - timedelta(seconds=seconds)).isoformat(), now) == text


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".spec.a", [1]),
        ("{.spec.a}", [1]),
        (".spec['b.c']", [2]),
        (".spec.b\\.c", [2]),
        (".list[1].n", ["y"]),
        (".list[*].n", ["x", "y"]),
        ('.list[?(@.n=="y")].v', [8]),
        (".none.at.all", []),
        (".list[9]", []),
    ],
)
def test_json_paths(path: str, expected: list[Any]) -> None:
    value = {"spec": {"a": 1, "b.c": 2}, "list": [{"n": "x", "v": 7}, {"n": "y", "v": 8}]}
    assert jsonpath.find(value, path) == expected


def test_json_path_that_is_not_understood() -> None:
    with pytest.raises(ValueError, match="not understood"):
        jsonpath.parse(".a[?(")


def test_every_builtin_kind_has_a_type_and_a_table() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for resource in BUILTINS:
        assert TYPES.node(resource.definition).type == schema.OBJECT
        if "list" in resource.verbs:
            obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": "x"}}
            made = printing.table(resource, [obj], version="v1", include="", now=now)
            assert len(made["rows"][0]["cells"]) == len(made["columnDefinitions"]), resource.kind


def test_conform_drops_unknown_fields_and_brings_values_into_form() -> None:
    unknown: list[str] = []
    pod: dict[str, Any] = {
        "spec": {
            "odd": 1,
            "containers": [
                {"name": "a", "image": None, "resources": {"limits": {"cpu": 1, "memory": "1024Mi"}}, "x": {}}
            ],
        },
        "status": {"startTime": "2026-01-01T02:00:00+02:00"},
    }
    conform(pod, TYPES.node("V1Pod"), unknown)
    assert unknown == ["spec.odd", "spec.containers[0].x"]
    assert pod["spec"]["containers"] == [{"name": "a", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]
    assert pod["status"]["startTime"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": {}},
        {"containers": [{"name": 1}]},
        {"terminationGracePeriodSeconds": "30"},
        {"terminationGracePeriodSeconds": True},
        {"hostNetwork": "yes"},
        {"containers": [{"resources": {"limits": {"cpu": "much"}}}]},
        {"nodeSelector": {"a": 1}},
    ],
)
def test_conform_refuses_wrong_types(spec: dict[str, Any]) -> None:
    with pytest.raises(WrongType) as caught:
        conform({"spec": spec}, TYPES.node("V1Pod"), [])
    assert caught.value.path.startswith("spec.")


def test_version_order() -> None:
    names = ["v1alpha1", "v1", "v2beta1", "v2", "foo", "v1beta2", "v1beta1", "v10"]
    assert sorted(names, key=version_rank) == ["v10", "v2", "v1", "v2beta1", "v1beta2", "v1beta1", "v1alpha1", "foo"]


def _field(number: int, payload: bytes) -> bytes:
    return bytes([number << 3 | 2, len(payload)]) + payload


def test_protobuf_config_map() -> None:
    meta = _field(1, b"foo") + _field(2, b"") + bytes([7 << 3, 0]) + _field(8, b"")
    raw = _field(1, meta) + _field(2, _field(1, b"a") + _field(2, b"b"))
    envelope = _field(1, _field(1, b"v1") + _field(2, b"ConfigMap")) + _field(2, raw)
    expected = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foo"}, "data": {"a": "b"}}
    assert protobuf.decode(protobuf.MAGIC + envelope) == expected


@given(st.binary(max_size=60))
def test_protobuf_garbage_is_a_bad_request(data: bytes) -> None:
    head = _field(1, _field(1, b"v1") + _field(2, b"Pod"))
    body = protobuf.MAGIC + head + bytes([2 << 3 | 2, len(data)]) + data
    try:
        kind, code = protobuf.decode(body)["kind"], 200
    except ApiError as problem:
        kind, code = "", problem.code
    assert (kind, code) in (("Pod", 200), ("", 400))


def test_the_type_table_is_the_generators() -> None:
    table, _ = generate_schemas.collect()
    assert json.loads((schema.DATA / "types.json").read_text(encoding="utf-8")) == table
