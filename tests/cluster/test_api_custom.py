"""Custom resources: schema, defaults, pruning, CEL, list types, subresources, tables, versions."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic.exceptions import ResourceNotFoundError

from .conftest import Api, until
from .test_api_objects import code_of, gone

Obj = dict[str, Any]

SPEC: Obj = {
    "type": "object",
    "required": ["size"],
    "x-kubernetes-validations": [
        {"rule": "self.size == oldSelf.size", "message": "size is immutable"},
        {
            "rule": "!has(self.start) || !has(self.end) || self.end > self.start",
            "messageExpression": "'ends too early: ' + self.size",
        },
    ],
    "properties": {
        "size": {"type": "string", "maxLength": 10, "enum": ["big", "small"]},
        "replicas": {"type": "integer", "default": 1, "minimum": 0, "maximum": 10},
        "start": {"type": "string", "format": "date-time"},
        "end": {"type": "string", "format": "date-time"},
        "port": {"x-kubernetes-int-or-string": True},
        "note": {"type": "string", "nullable": True, "maxLength": 5, "pattern": "^[a-z]*$"},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "items": {
            "type": "array",
            "maxItems": 20,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["sku"],
            "items": {
                "type": "object",
                "required": ["sku"],
                "x-kubernetes-validations": [
                    {"rule": "self.price < 1000", "reason": "FieldValueForbidden", "fieldPath": ".price"}
                ],
                "properties": {
                    "sku": {"type": "string", "maxLength": 20},
                    "price": {"type": "integer", "default": 5, "minimum": 0},
                },
            },
        },
    },
}
STATUS: Obj = {
    "type": "object",
    "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}, "phase": {"type": "string"}},
}


def definition(group: str) -> Obj:
    schema = {"type": "object", "required": ["spec"], "properties": {"spec": SPEC, "status": STATUS}}
    paths = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    columns = [
        {"name": "Size", "type": "string", "jsonPath": ".spec.size"},
        {"name": "First", "type": "integer", "jsonPath": ".spec.items[0].price", "priority": 1},
    ]
    version = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}, "scale": paths},
        "additionalPrinterColumns": columns,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wdg"], "categories": ["suite"]},
            "versions": [version],
        },
    }


@pytest.fixture
async def group(api: Api) -> AsyncIterator[str]:
    name = f"g{uuid.uuid4().hex[:8]}.example.dev"
    crd = definition(name)
    await api.create(crd)

    async def established() -> bool:
        conditions = ((await api.get(crd)).get("status") or {}).get("conditions") or []
        return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)

    await until(established)
    await api.dynamic.resources.invalidate_cache()
    await until(lambda: served(api, name))
    yield name
    await api.delete(crd)


async def served(api: Api, group: str) -> bool:
    try:
        await api.list(widget(group))
    except ResourceNotFoundError:
        await api.dynamic.resources.invalidate_cache()
        await asyncio.sleep(0.2)
        return False
    except ApiException as problem:
        if problem.status not in (404, 429):
            raise
        await asyncio.sleep(0.1)
        return False
    return True


def widget(group: str, name: str = "one", **spec: Any) -> Obj:
    return {
        "apiVersion": f"{group}/v1alpha1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": "small", **spec},
    }


async def causes_of(call: Any) -> list[tuple[str, str]]:
    with pytest.raises(ApiException) as caught:
        await call
    assert caught.value.status == 422
    return sorted((item["field"], item["message"]) for item in json.loads(caught.value.body)["details"]["causes"])


async def test_defaults_and_pruning(api: Api, group: str) -> None:
    body = widget(group, items=[{"sku": "a"}], bogus=1, free={"any": {"thing": 1}})
    made = await api.create(body, query_params=[("fieldValidation", "Ignore")])
    assert made["spec"] == {
        "size": "small",
        "replicas": 1,
        "items": [{"sku": "a", "price": 5}],
        "free": {"any": {"thing": 1}},
    }
    assert await code_of(api.create(widget(group, "two", bogus=1), query_params=[("fieldValidation", "Strict")])) == 400


async def test_causes_name_fields(api: Api, group: str) -> None:
    found = await causes_of(api.create(widget(group, size="huge", replicas=11, items=[{"price": -1, "sku": "a"}])))
    found = [item for item in found if item[0] != "<nil>"]
    assert [field for field, _ in found] == ["spec.items[0].price", "spec.replicas", "spec.size"]
    assert found[0][1].startswith("Invalid value: -1: spec.items[0].price in body should be greater than or equal to 0")
    assert found[2][1] == 'Unsupported value: "huge": supported values: "big", "small"'
    missing = widget(group)
    del missing["spec"]["size"]
    assert ("spec.size", "Required value") in await causes_of(api.create(missing))


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"replicas": "1"}, id="string for integer"),
        pytest.param({"start": "yesterday"}, id="format date-time"),
        pytest.param({"note": "UPPER"}, id="pattern"),
        pytest.param({"note": "toolong"}, id="maxLength"),
        pytest.param({"port": True}, id="int-or-string"),
        pytest.param({"tags": ["a", "a"]}, id="set with duplicates"),
        pytest.param({"items": [{"sku": "a"}, {"sku": "a"}]}, id="map with duplicates"),
        pytest.param({"items": "a"}, id="string for array"),
    ],
)
async def test_invalid_values_are_refused(api: Api, group: str, spec: Obj) -> None:
    assert await code_of(api.create(widget(group, **spec))) == 422


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"port": "http"}, id="name as port"),
        pytest.param({"port": 80}, id="number as port"),
        pytest.param({"note": None}, id="null where nullable"),
        pytest.param({"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}, id="times in order"),
    ],
)
async def test_valid_values_are_taken(api: Api, group: str, spec: Obj) -> None:
    made = await api.create(widget(group, **spec))
    assert {key: made["spec"][key] for key in spec} == spec


async def test_cel_rules(api: Api, group: str) -> None:
    made = await api.create(widget(group))
    [(field, message)] = await causes_of(api.patch(made, {"spec": {"size": "big"}}))
    assert field == "spec"
    assert message.endswith("size is immutable")
    times = {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}
    [(_, message)] = await causes_of(api.patch(made, {"spec": times}))
    assert message.endswith("ends too early: small")
    [(field, message)] = await causes_of(api.patch(made, {"spec": {"items": [{"sku": "a", "price": 5000}]}}))
    assert field == "spec.items[0].price"
    assert message.startswith("Forbidden")


async def test_apply_merges_by_list_type(api: Api, group: str) -> None:
    await api.apply(widget(group, items=[{"sku": "a", "price": 1}], tags=["x"]), "one")
    both = await api.apply(widget(group, items=[{"sku": "b", "price": 2}], tags=["y"]), "two")
    assert [item["sku"] for item in both["spec"]["items"]] == ["a", "b"]
    assert sorted(both["spec"]["tags"]) == ["x", "y"]
    left = await api.apply(widget(group), "one")
    assert [item["sku"] for item in left["spec"]["items"]] == ["b"]
    assert left["spec"]["tags"] == ["y"]
    again = await api.apply(widget(group), "one")
    assert again["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]


async def test_status_is_apart(api: Api, group: str) -> None:
    made = await api.create({**widget(group), "status": {"phase": "Early"}})
    assert "status" not in made
    after = await api.status(made, {"status": {"phase": "Live"}, "spec": {"replicas": 9}})
    assert (after["status"]["phase"], after["spec"]["replicas"]) == ("Live", 1)
    assert after["metadata"]["generation"] == 1
    changed = await api.patch(made, {"spec": {"replicas": 2}, "status": {"phase": "Lost"}})
    assert (changed["status"]["phase"], changed["metadata"]["generation"]) == ("Live", 2)


async def test_scale(api: Api, group: str) -> None:
    made = await api.create(widget(group))
    await api.status(made, {"status": {"replicas": 1, "selector": "app=one"}})
    resource = await api.kind(made)
    options = {"name": "one", "namespace": api.namespace, "content_type": "application/merge-patch+json"}
    scaled = (await resource.scale.patch(body={"spec": {"replicas": 4}}, **options)).to_dict()
    assert (scaled["kind"], scaled["spec"]["replicas"]) == ("Scale", 4)
    assert scaled["status"] == {"replicas": 1, "selector": "app=one"}
    assert (await api.get(made))["spec"]["replicas"] == 4


async def test_replace_needs_a_version(api: Api, group: str) -> None:
    made = await api.create(widget(group))
    del made["metadata"]["resourceVersion"]
    assert await code_of(api.replace(made)) == 422


async def test_a_definition_that_is_not_structural_is_refused(api: Api) -> None:
    crd = definition(f"g{uuid.uuid4().hex[:8]}.example.dev")
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = {
        "properties": {"a": {"type": "string"}}
    }
    assert await code_of(api.create(crd)) == 422


async def test_a_rule_that_does_not_compile_is_refused(api: Api) -> None:
    crd = definition(f"g{uuid.uuid4().hex[:8]}.example.dev")
    rules = [{"rule": "self.nothing(("}]
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] = rules
    assert await code_of(api.create(crd)) == 422


async def test_deleting_the_definition_deletes_its_objects(api: Api) -> None:
    name = f"g{uuid.uuid4().hex[:8]}.example.dev"
    crd = definition(name)
    await api.create(crd)
    await api.dynamic.resources.invalidate_cache()
    await until(lambda: served(api, name))
    await api.create(widget(name))
    await api.delete(crd)

    async def unserved() -> bool:
        return not await served(api, name)

    await until(unserved, 30)
    await until(lambda: gone(api, crd), 30)
    await api.create(crd)
    await api.dynamic.resources.invalidate_cache()
    await until(lambda: served(api, name))
    assert (await api.list(widget(name)))["items"] == []
    await api.delete(crd)
