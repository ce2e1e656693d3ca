"""What a client sees when it is wrong: code, reason, message and causes, request by request."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Raw

Obj = dict[str, Any]
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"


def config_map(name: str = "one", **meta: Any) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta}, "data": {"a": "1"}}


def deployment(**spec: Any) -> Obj:
    labels = {"app": "web"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "registry.example/web:1"}]}}
    base = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {**base, **spec}}


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "reason", "message"),
    [
        pytest.param("GET", "/configmaps/no", None, 404, "NotFound", 'configmaps "no" not found', id="get"),
        pytest.param("DELETE", "/configmaps/no", None, 404, "NotFound", 'configmaps "no" not found', id="delete"),
        pytest.param(
            "GET", "/nothings", None, 404, "NotFound", "the server could not find the requested resource", id="kind"
        ),
        pytest.param(
            "POST",
            "/configmaps/one",
            config_map(),
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
            id="create by name",
        ),
        pytest.param(
            "POST",
            "/configmaps",
            config_map("kept"),
            409,
            "AlreadyExists",
            'configmaps "kept" already exists',
            id="twice",
        ),
        pytest.param(
            "PUT",
            "/configmaps/kept",
            config_map("kept", resourceVersion="1"),
            409,
            "Conflict",
            'Operation cannot be fulfilled on configmaps "kept": the object has been modified; please apply your changes '
            "to the latest version and try again",
            id="stale",
        ),
        pytest.param(
            "PUT",
            "/configmaps/kept",
            config_map("other"),
            400,
            "BadRequest",
            "the name of the object (other) does not match the name on the URL (kept)",
            id="other name",
        ),
        pytest.param(
            "POST",
            "/configmaps",
            config_map(namespace="other"),
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
            id="other namespace",
        ),
        pytest.param(
            "GET",
            "/configmaps?limit=x",
            None,
            400,
            "BadRequest",
            'strconv.ParseInt: parsing "x": invalid syntax',
            id="limit",
        ),
        pytest.param(
            "GET",
            "/configmaps?resourceVersionMatch=Exact",
            None,
            422,
            "Invalid",
            'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden '
            "unless resourceVersion is provided",
            id="match without version",
        ),
        pytest.param(
            "GET",
            "/configmaps?watch=1&sendInitialEvents=true",
            None,
            422,
            "Invalid",
            'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting '
            "resourceVersionMatch to NotOlderThan",
            id="initial events",
        ),
        pytest.param(
            "POST",
            "/configmaps?dryRun=Some",
            config_map(),
            422,
            "Invalid",
            'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
            id="dryRun",
        ),
        pytest.param(
            "POST",
            "/configmaps?fieldValidation=Some",
            config_map(),
            422,
            "Invalid",
            'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Some": supported values: "", '
            '"Ignore", "Strict", "Warn"',
            id="fieldValidation",
        ),
        pytest.param(
            "DELETE",
            "/configmaps/kept",
            {"propagationPolicy": "Some"},
            422,
            "Invalid",
            'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Some": supported values: '
            '"Foreground", "Background", "Orphan", "nil"',
            id="propagationPolicy",
        ),
    ],
)
async def test_refusals(raw: Raw, method: str, path: str, body: Any, code: int, reason: str, message: str) -> None:
    await raw("POST", f"{raw.space}/configmaps", config_map("kept"))
    reply = await raw(method, raw.space + path, body)
    assert (reply.status, reply.body["reason"], reply.message) == (code, reason, message)
    assert (reply.body["kind"], reply.body["status"], reply.body["code"]) == ("Status", "Failure", code)


@pytest.mark.parametrize(
    ("meta", "field", "reason", "ending"),
    [
        pytest.param({"name": "A_b"}, "metadata.name", "FieldValueInvalid", "([-a-z0-9]*[a-z0-9])?)*')", id="name"),
        pytest.param({}, "metadata.name", "FieldValueRequired", "name or generateName is required", id="no name"),
        pytest.param(
            {"name": "x", "labels": {"a b": "c"}}, "metadata.labels", "FieldValueInvalid", "[A-Za-z0-9]')", id="label"
        ),
        pytest.param(
            {"name": "x", "annotations": {"a b": "c"}},
            "metadata.annotations",
            "FieldValueInvalid",
            "[A-Za-z0-9]')",
            id="annotation",
        ),
        pytest.param(
            {"name": "x", "finalizers": ["plain"]},
            "metadata.finalizers[0]",
            "FieldValueInvalid",
            "name is neither a standard finalizer name nor is it fully qualified",
            id="finalizer",
        ),
        pytest.param(
            {"name": "x", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p"}]},
            "metadata.ownerReferences.uid",
            "FieldValueInvalid",
            "must not be empty",
            id="owner",
        ),
    ],
)
async def test_metadata_is_checked(raw: Raw, meta: Obj, field: str, reason: str, ending: str) -> None:
    reply = await raw("POST", f"{raw.space}/configmaps", {"metadata": meta})
    assert (reply.status, reply.body["reason"]) == (422, "Invalid")
    [(found, why, text)] = reply.causes
    assert (found, why) == (field, reason)
    assert text.endswith(ending)


@pytest.mark.parametrize(
    ("spec", "causes"),
    [
        pytest.param(
            {"replicas": -1},
            [("spec.replicas", "FieldValueInvalid", "Invalid value: -1: must be greater than or equal to 0")],
            id="negative",
        ),
        pytest.param(
            {"selector": {"matchLabels": {"app": "other"}}},
            [
                (
                    "spec.template.metadata.labels",
                    "FieldValueInvalid",
                    'Invalid value: {"app":"web"}: `selector` does not match template `labels`',
                )
            ],
            id="selector",
        ),
        pytest.param(
            {"selector": {}},
            [
                (
                    "spec.selector",
                    "FieldValueInvalid",
                    "Invalid value: {}: empty selector is invalid for deployment",
                )
            ],
            id="empty selector",
        ),
    ],
)
async def test_built_in_kinds_name_the_field(raw: Raw, spec: Obj, causes: list[tuple[str, str, str]]) -> None:
    reply = await raw("POST", raw.space.replace("/api/v1", "/apis/apps/v1") + "/deployments", deployment(**spec))
    assert reply.status == 422
    assert set(causes) <= set(reply.causes)


@pytest.mark.parametrize(
    ("validation", "code", "warned"),
    [
        pytest.param("Strict", 400, 0, id="Strict"),
        pytest.param("Warn", 201, 2, id="Warn"),
        pytest.param("Ignore", 201, 0, id="Ignore"),
        pytest.param("", 201, 2, id="not given"),
    ],
)
async def test_unknown_and_duplicate_fields(raw: Raw, validation: str, code: int, warned: int) -> None:
    body = '{"metadata":{"name":"odd"},"data":{"a":"1","a":"2"},"bogus":1}'
    reply = await raw("POST", f"{raw.space}/configmaps?fieldValidation={validation}", body)
    assert (reply.status, len(reply.warnings)) == (code, warned)
    if code == 400:
        head = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
        assert reply.message == head + 'duplicate field "data.a", unknown field "bogus"'
    else:
        assert reply.body["data"] == {"a": "2"}


@pytest.mark.parametrize(
    ("media", "body", "code", "message"),
    [
        pytest.param(
            JSON_PATCH,
            {"op": "add"},
            400,
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
            id="no list",
        ),
        pytest.param(
            MERGE,
            [],
            400,
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
            id="a list",
        ),
        pytest.param("application/odd+json", {}, 415, "415: Unsupported Media Type", id="media type"),
        pytest.param(
            JSON_PATCH,
            [{"op": "test", "path": "/data/a", "value": "9"}],
            422,
            "the server rejected our request due to an error in our request",
            id="test fails",
        ),
        pytest.param(
            JSON_PATCH,
            [{"op": "remove", "path": "/data/none"}],
            422,
            "the server rejected our request due to an error in our request",
            id="nothing to remove",
        ),
    ],
)
async def test_patches_that_are_none(raw: Raw, media: str, body: Any, code: int, message: str) -> None:
    await raw("POST", f"{raw.space}/configmaps", config_map())
    reply = await raw("PATCH", f"{raw.space}/configmaps/one", body, media=media)
    assert (reply.status, reply.message) == (code, message)


async def test_a_patch_to_a_wrong_type_is_the_patch_s_fault(raw: Raw) -> None:
    await raw("POST", f"{raw.space}/configmaps", config_map())
    reply = await raw("PATCH", f"{raw.space}/configmaps/one", {"data": {"x": 3}}, media=MERGE)
    assert (reply.status, reply.body["reason"]) == (422, "Invalid")
    [(field, reason, message)] = reply.causes
    assert (field, reason) == ("patch", "FieldValueInvalid")
    assert "json: cannot unmarshal number into Go struct field ConfigMap.data" in message


async def test_what_is_not_acceptable(raw: Raw) -> None:
    reply = await raw("GET", f"{raw.space}/configmaps", Accept="application/odd")
    assert (reply.status, reply.body["reason"]) == (406, "NotAcceptable")
    reply = await raw("POST", f"{raw.space}/configmaps", "x", media="application/odd")
    assert (reply.status, reply.body["reason"]) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize("word", [pytest.param("uid", id="uid"), pytest.param("resourceVersion", id="version")])
async def test_preconditions_of_a_delete(raw: Raw, word: str) -> None:
    made = await raw("POST", f"{raw.space}/configmaps", config_map())
    path = f"{raw.space}/configmaps/one"
    wrong = await raw("DELETE", path, {"preconditions": {word: "1"}})
    assert (wrong.status, wrong.body["reason"]) == (409, "Conflict")
    assert f"({made.body['metadata'][word]})" in wrong.message
    right = await raw("DELETE", path, {"preconditions": {word: made.body["metadata"][word]}})
    assert right.status == 200


async def test_paths_of_no_group_are_plain_text(raw: Raw) -> None:
    for path in ("/nope", "/apis/none.example/v1/things"):
        reply = await raw("GET", path)
        assert (reply.status, reply.body.strip()) == (404, "404 page not found")
