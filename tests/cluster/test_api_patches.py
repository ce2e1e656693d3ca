"""PATCH: JSON, merge, strategic, and server-side apply with its owners."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from kubernetes.aio.client.exceptions import ApiException

from .conftest import Api
from .test_api_objects import code_of, config_map, deployment

Obj = dict[str, Any]


async def test_json_patch(api: Api) -> None:
    made = await api.create(config_map("one"))
    steps: list[Obj] = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "add", "path": "/data/b.c", "value": "2"},
        {"op": "remove", "path": "/data/a"},
    ]
    assert (await api.patch(made, steps, "json-patch"))["data"] == {"b.c": "2"}


async def test_json_patch_with_failing_test(api: Api) -> None:
    made = await api.create(config_map("one"))
    assert await code_of(api.patch(made, [{"op": "test", "path": "/data/a", "value": "9"}], "json-patch")) == 422


async def test_strategic_merge_by_key(api: Api) -> None:
    made = await api.create(deployment())
    body = {
        "spec": {
            "template": {"spec": {"containers": [{"name": "side", "image": "x:1"}, {"name": "web", "image": "y:2"}]}}
        }
    }
    after = await api.patch(made, body, "strategic-merge-patch")
    containers = {item["name"]: item for item in after["spec"]["template"]["spec"]["containers"]}
    assert containers["web"]["image"] == "y:2"
    assert containers["web"]["ports"][0]["containerPort"] == 80
    assert containers["side"]["image"] == "x:1"
    gone = {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}
    after = await api.patch(made, gone, "strategic-merge-patch")
    assert [item["name"] for item in after["spec"]["template"]["spec"]["containers"]] == ["web"]


async def test_merge_patch_replaces_lists(api: Api) -> None:
    made = await api.create(deployment())
    body = {"spec": {"template": {"spec": {"containers": [{"name": "only", "image": "x:1"}]}}}}
    after = await api.patch(made, body)
    assert [item["name"] for item in after["spec"]["template"]["spec"]["containers"]] == ["only"]


async def test_unknown_patch_type_is_refused(api: Api) -> None:
    made = await api.create(config_map("one"))
    assert await code_of(api.patch(made, {}, "odd-patch")) == 415


async def test_apply_creates_then_is_a_no_op(api: Api) -> None:
    first = await api.apply(config_map("same"))
    again = await api.apply(config_map("same"))
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    entry = (await api.apply(deployment()))["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["operation"], entry["fieldsType"]) == ("suite", "Apply", "FieldsV1")
    containers = entry["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert list(containers) == ['k:{"name":"web"}']
    assert 'k:{"containerPort":80,"protocol":"TCP"}' in containers['k:{"name":"web"}']["f:ports"]


async def test_apply_removes_what_is_no_longer_applied(api: Api) -> None:
    wanted = config_map("one", labels={"keep": "1", "drop": "1"})
    wanted["data"]["b"] = "2"
    await api.apply(wanted)
    await api.patch(wanted, {"data": {"other": "x"}})
    del wanted["metadata"]["labels"]["drop"], wanted["data"]["b"]
    after = await api.apply(wanted)
    assert after["metadata"]["labels"] == {"keep": "1"}
    assert after["data"] == {"a": "1", "other": "x"}


async def test_conflicts_name_manager_and_field(api: Api) -> None:
    await api.apply(deployment(), "first")
    other = deployment(replicas=5)
    with pytest.raises(ApiException) as caught:
        await api.apply(other, "second")
    assert caught.value.status == 409
    body = json.loads(caught.value.body)
    assert body["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "first"', "field": ".spec.replicas"}
    ]
    assert body["message"] == 'Apply failed with 1 conflict: conflict with "first": .spec.replicas'
    forced = await api.apply(other, "second", force=True)
    owners = {item["manager"]: item["fieldsV1"] for item in forced["metadata"]["managedFields"]}
    assert "f:replicas" in owners["second"]["f:spec"]
    assert "f:replicas" not in owners["first"]["f:spec"]


async def test_updates_take_ownership(api: Api) -> None:
    await api.apply(deployment(), "first")
    patched = await api.patch(deployment(), {"spec": {"replicas": 3}}, query_params=[("fieldManager", "hand")])
    owners = {item["manager"]: item for item in patched["metadata"]["managedFields"]}
    assert owners["hand"]["operation"] == "Update"
    assert owners["hand"]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in owners["first"]["fieldsV1"]["f:spec"]
    assert await code_of(api.apply(deployment(), "first")) == 409


async def test_two_appliers_share_a_list(api: Api) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    one: Obj = {**service, "spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}}
    two: Obj = {**service, "spec": {"ports": [{"name": "alt", "port": 81, "protocol": "TCP"}]}}
    await api.apply(one, "one")
    both = await api.apply(two, "two")
    assert [port["port"] for port in both["spec"]["ports"]] == [80, 81]
    left = await api.apply(
        {**service, "spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}}, "two", force=True
    )
    assert [port["port"] for port in left["spec"]["ports"]] == [80]


async def test_same_value_is_shared_not_a_conflict(api: Api) -> None:
    await api.apply(deployment(), "one")
    await api.apply(deployment(), "two")
    less = copy.deepcopy(deployment())
    del less["spec"]["replicas"]
    after = await api.apply(less, "two")
    assert after["spec"]["replicas"] == 0


async def test_apply_needs_a_manager(api: Api) -> None:
    resource = await api.kind(config_map("one"))
    body = config_map("one")
    call = api.dynamic.request(
        "patch",
        resource.path(name="one", namespace=api.namespace),
        body=body,
        content_type="application/apply-patch+yaml",
    )
    assert await code_of(call) in (400, 422)
