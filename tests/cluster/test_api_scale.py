"""The subresources status and scale: patches of every kind, and who owns what afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Api, Raw

Obj = dict[str, Any]
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
JSON_PATCH, STRATEGIC = "application/json-patch+json", "application/strategic-merge-patch+json"


def replica_set(**spec: Any) -> Obj:
    labels = {"app": "web"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "registry.example/web:1"}]}}
    base = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web"}, "spec": {**base, **spec}}


@pytest.fixture
async def path(api: Api, raw: Raw) -> str:
    found = f"/apis/apps/v1/namespaces/{api.namespace}/replicasets"
    assert (await raw("POST", f"{found}?fieldManager=maker", replica_set())).status == 201
    return f"{found}/web"


def scale(**spec: Any) -> Obj:
    return {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": spec}


@pytest.mark.parametrize(
    ("media", "body"),
    [
        pytest.param(MERGE, {"spec": {"replicas": 0}}, id="merge"),
        pytest.param(STRATEGIC, {"spec": {"replicas": 0}}, id="strategic"),
        pytest.param(JSON_PATCH, [{"op": "add", "path": "/spec/replicas", "value": 0}], id="json"),
        pytest.param(APPLY, scale(replicas=0), id="apply"),
    ],
)
async def test_every_patch_of_a_scale(raw: Raw, path: str, media: str, body: Any) -> None:
    force = "&force=true" if media == APPLY else ""
    reply = await raw("PATCH", f"{path}/scale?fieldManager=me{force}", body, media=media)
    assert reply.status == 200, reply.body
    assert (reply.body["kind"], reply.body["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert reply.body["status"]["selector"] == "app=web"


async def test_an_applied_scale_owns_the_replicas(raw: Raw, path: str) -> None:
    refused = await raw("PATCH", f"{path}/scale?fieldManager=me", scale(replicas=1), media=APPLY)
    assert (refused.status, refused.body["reason"]) == (409, "Conflict")
    text = 'Apply failed with 1 conflict: conflict with "maker" using autoscaling/v1: .spec.replicas'
    assert refused.message == text
    forced = await raw("PATCH", f"{path}/scale?fieldManager=me&force=true", scale(replicas=1), media=APPLY)
    assert (forced.status, forced.body["spec"]) == (200, {"replicas": 1})
    entries = (await raw("GET", path)).body["metadata"]["managedFields"]
    mine = next(item for item in entries if item["manager"] == "me")
    assert (mine["operation"], mine["subresource"], mine["apiVersion"]) == ("Apply", "scale", "apps/v1")
    assert mine["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    theirs = next(item for item in entries if item["manager"] == "maker")
    assert "f:replicas" not in theirs["fieldsV1"]["f:spec"]


@pytest.mark.parametrize(
    ("body", "code", "part"),
    [
        pytest.param(scale(replicas=-1), 422, "spec.replicas: Invalid value: -1: must be greater", id="negative"),
        pytest.param({**scale(replicas=1), "metadata": {"name": "other"}}, 400, "does not match the name", id="name"),
        pytest.param(
            {**scale(replicas=1), "metadata": {"name": "web", "resourceVersion": "1"}},
            409,
            "the object has been modified",
            id="stale",
        ),
    ],
)
async def test_scales_that_are_refused(raw: Raw, path: str, body: Obj, code: int, part: str) -> None:
    reply = await raw("PUT", f"{path}/scale", body)
    assert reply.status == code, reply.body
    assert part in reply.message


async def test_an_applied_status_touches_nothing_else(raw: Raw, path: str) -> None:
    head = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "labels": {"x": "y"}}}
    condition = {"type": "Suite", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    body = {**head, "status": {"replicas": 0, "conditions": [condition]}, "spec": {"replicas": 7}}
    reply = await raw("PATCH", f"{path}/status?fieldManager=me&force=true", body, media=APPLY)
    assert reply.status == 200, reply.body
    assert reply.body["spec"]["replicas"] == 0
    assert [item["type"] for item in reply.body["status"]["conditions"]] == ["Suite"]
    mine = next(item for item in reply.body["metadata"]["managedFields"] if item["manager"] == "me")
    assert mine["subresource"] == "status"
    assert "f:spec" not in mine["fieldsV1"]
    assert reply.body["metadata"]["generation"] == 1
