"""Admission webhooks and policies: who is asked, what is sent, what an answer does. The server must reach 127.0.0.1."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Api, Raw, Reply, until
from .test_api_objects import config_map
from .webhook_server import WebhookServer

Obj = dict[str, Any]
GROUP = "/apis/admissionregistration.k8s.io/v1"
Configure = Callable[..., Awaitable[None]]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[WebhookServer]:
    made = WebhookServer(tmp_path)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def configure(api: Api, raw: Raw, server: WebhookServer) -> AsyncIterator[Configure]:
    """Register webhooks on the ConfigMaps of the test's namespace, and wait until they are asked."""
    label = {"kubernetes.io/metadata.name": api.namespace}
    made: list[str] = []

    async def work(kind: str, *hooks: Obj, settled: Callable[[], Awaitable[Any]] | None = None) -> None:
        full = []
        for at, hook in enumerate(hooks):
            config = {"url": f"{server.url}/{hook.pop('how', 'allow')}", "caBundle": server.bundle}
            rule = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
            base = {"name": f"h{at}.suite.example", "clientConfig": config, "rules": [rule]}
            base |= {"namespaceSelector": {"matchLabels": label}, "sideEffects": "None"}
            full.append({**base, "admissionReviewVersions": ["v1"], "timeoutSeconds": 1, **hook})
        path = f"{GROUP}/{kind}webhookconfigurations"
        body = {"metadata": {"name": f"{kind}-{api.namespace}"}, "webhooks": full}
        reply = await raw("POST", path, body)
        assert reply.status == 201, reply.body
        made.append(f"{path}/{kind}-{api.namespace}")
        await until(settled or (lambda: asked(raw, server)))

    yield work
    for path in made:
        await raw("DELETE", path)


async def asked(raw: Raw, server: WebhookServer) -> bool:
    """Whether the server has begun to ask; a dry run leaves nothing behind."""
    before = len(server.reviews)
    await raw("POST", f"{raw.space}/configmaps?dryRun=All", config_map("probe"))
    found = len(server.reviews) > before
    server.reviews.clear()
    return found


async def post(raw: Raw, name: str, query: str = "") -> Reply:
    return await raw("POST", f"{raw.space}/configmaps{query}", config_map(name))


@pytest.mark.parametrize(
    ("how", "code", "reason", "message"),
    [
        pytest.param(
            "deny", 418, "Teapot", 'admission webhook "h0.suite.example" denied the request: no way', id="deny"
        ),
        pytest.param(
            "deny-plain",
            400,
            None,
            'admission webhook "h0.suite.example" denied the request without explanation',
            id="no words",
        ),
        pytest.param(
            "broken",
            500,
            "InternalError",
            'Internal error occurred: failed calling webhook "h0.suite.example": failed to call webhook: an error on the '
            'server ("") has prevented the request from succeeding',
            id="broken",
        ),
    ],
)
async def test_refusals(raw: Raw, configure: Configure, how: str, code: int, reason: str, message: str) -> None:
    await configure("validating", {"how": how})
    reply = await post(raw, "one")
    assert (reply.status, reply.body.get("reason"), reply.message) == (code, reason, message)
    assert (await raw("GET", f"{raw.space}/configmaps/one")).status == 404


@pytest.mark.parametrize(
    ("how", "part"),
    [
        pytest.param("slow", "context deadline exceeded", id="slow"),
        pytest.param("odd-uid", 'received invalid webhook response: expected response.uid="', id="uid"),
        pytest.param("half-patch", "webhook returned response.patch but not response.patchType", id="patch type"),
    ],
)
async def test_failing_calls_refuse(raw: Raw, configure: Configure, how: str, part: str) -> None:
    await configure("mutating", {"how": how})
    reply = await post(raw, "one")
    assert (reply.status, reply.body["reason"]) == (500, "InternalError")
    assert reply.message.startswith('Internal error occurred: failed calling webhook "h0.suite.example": ')
    assert part in reply.message


async def test_failing_calls_pass_when_the_policy_says_so(raw: Raw, configure: Configure) -> None:
    await configure("validating", {"how": "broken", "failurePolicy": "Ignore"})
    assert (await post(raw, "one")).status == 201


async def test_warnings_reach_the_client(raw: Raw, configure: Configure) -> None:
    await configure("validating", {"how": "warn"})
    reply = await post(raw, "one")
    assert (reply.status, reply.warnings) == (201, ["be careful"])


async def test_patches_change_the_object(raw: Raw, configure: Configure, server: WebhookServer) -> None:
    first: Obj = {"how": "allow", "reinvocationPolicy": "IfNeeded"}
    await configure("mutating", first, {"how": "patch"}, {"how": "label"})
    reply = await post(raw, "one")
    assert reply.body["data"] == {"a": "1", "patched": "yes"}
    assert reply.body["metadata"]["labels"] == {"seen": "1"}
    seen = [review["request"]["object"] for review in server.reviews]
    assert "patched" not in seen[0]["data"]
    assert seen[2]["data"]["patched"] == "yes"
    assert seen[3]["metadata"]["labels"] == {"seen": "1"}
    assert len(seen) == 4


async def test_what_a_review_says(api: Api, raw: Raw, configure: Configure, server: WebhookServer) -> None:
    await configure("validating", {})
    await post(raw, "one", "?fieldManager=me")
    await raw("PATCH", f"{raw.space}/configmaps/one", {"data": {"b": "2"}}, media="application/merge-patch+json")
    await raw("DELETE", f"{raw.space}/configmaps/one")
    created, updated, deleted = (review["request"] for review in server.reviews)
    assert server.reviews[0]["apiVersion"] == "admission.k8s.io/v1"
    assert [item["operation"] for item in (created, updated, deleted)] == ["CREATE", "UPDATE", "DELETE"]
    assert created["kind"] == created["requestKind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert created["resource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert (created["namespace"], created["name"], created["dryRun"]) == (api.namespace, "one", False)
    assert created["options"]["fieldManager"] == "me"
    assert created["oldObject"] is None
    assert updated["oldObject"]["data"] == {"a": "1"}
    assert updated["object"]["data"] == {"a": "1", "b": "2"}
    assert deleted["object"] is None
    assert deleted["oldObject"]["data"] == {"a": "1", "b": "2"}
    assert created["userInfo"]["groups"]


async def test_conditions_and_selectors_choose(raw: Raw, configure: Configure) -> None:
    hit = {"name": "named", "expression": "has(object.metadata.name) && object.metadata.name.startsWith('hit')"}

    async def settled() -> bool:
        return (await post(raw, "hit-probe", "?dryRun=All")).status == 418

    await configure("validating", {"how": "deny", "matchConditions": [hit]}, settled=settled)
    assert (await post(raw, "miss")).status == 201
    assert (await post(raw, "hit")).status == 418


async def test_side_effects_forbid_a_dry_run(raw: Raw) -> None:
    reply = await raw("POST", f"{GROUP}/validatingwebhookconfigurations", {"metadata": {"name": "x"}, "webhooks": [{}]})
    assert reply.status == 422
    fields = {field for field, _, _ in reply.causes}
    assert {f"webhooks[0].{name}" for name in ("name", "clientConfig", "sideEffects")} <= fields
    assert "webhooks[0].admissionReviewVersions" in fields


RULES = [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}]


@pytest.fixture
async def bind(api: Api, raw: Raw) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Make a ValidatingAdmissionPolicy and bind it to the test's namespace."""
    name = f"policy-{api.namespace}"
    paths = [f"{GROUP}/validatingadmissionpolicies", f"{GROUP}/validatingadmissionpolicybindings"]

    async def work(validation: Obj, *actions: str, **spec: Any) -> None:
        body = {"matchConstraints": {"resourceRules": RULES}, "validations": [validation], **spec}
        reply = await raw("POST", paths[0], {"metadata": {"name": name}, "spec": body})
        assert reply.status == 201, reply.body
        match = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": api.namespace}}}
        binding = {"policyName": name, "validationActions": list(actions), "matchResources": match}
        assert (await raw("POST", paths[1], {"metadata": {"name": name}, "spec": binding})).status == 201

        async def works() -> bool:
            reply = await raw("POST", f"{raw.space}/configmaps?dryRun=All", two("probe"))
            return reply.status != 201 or bool(reply.warnings)

        await until(works, 20)

    yield work
    for path in paths:
        await raw("DELETE", f"{path}/{name}")


def two(name: str) -> Obj:
    return {**config_map(name), "data": {"a": "1", "b": "2"}}


@pytest.mark.parametrize(
    ("validation", "code", "reason", "ending"),
    [
        pytest.param(
            {"expression": "object.data.size() < 2", "message": "one is enough"},
            422,
            "Invalid",
            "one is enough",
            id="message",
        ),
        pytest.param(
            {"expression": "object.data.size() < 2"},
            422,
            "Invalid",
            "failed expression: object.data.size() < 2",
            id="no message",
        ),
        pytest.param(
            {
                "expression": "variables.n < 2",
                "messageExpression": "'has ' + string(variables.n)",
                "reason": "Forbidden",
            },
            403,
            "Forbidden",
            "has 2",
            id="expression",
        ),
        pytest.param(
            {"expression": "object.data.none == 'x'"},
            422,
            "Invalid",
            "expression 'object.data.none == 'x'' resulted in error: no such key: none",
            id="error",
        ),
    ],
)
async def test_policies_deny(
    api: Api, raw: Raw, bind: Any, validation: Obj, code: int, reason: str, ending: str
) -> None:
    await bind(validation, "Deny", variables=[{"name": "n", "expression": "object.data.size()"}])
    reply = await raw("POST", f"{raw.space}/configmaps", two("one"))
    assert (reply.status, reply.body["reason"]) == (code, reason)
    name = f"policy-{api.namespace}"
    head = f"configmaps \"one\" is forbidden: ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: "
    assert reply.message == head + ending


async def test_policies_warn(api: Api, raw: Raw, bind: Any) -> None:
    await bind({"expression": "object.data.size() < 2", "message": "one is enough"}, "Warn")
    reply = await raw("POST", f"{raw.space}/configmaps", two("one"))
    name = f"policy-{api.namespace}"
    text = f"Validation failed for ValidatingAdmissionPolicy '{name}' with binding '{name}': one is enough"
    assert (reply.status, reply.warnings) == (201, [text])
    assert (await raw("POST", f"{raw.space}/configmaps", config_map("two"))).warnings == []


@pytest.mark.parametrize(
    ("spec", "field", "part"),
    [
        pytest.param(
            {"validations": [{"expression": "object.("}], "matchConstraints": {"resourceRules": RULES}},
            "spec.validations[0].expression",
            "compilation failed: ERROR: <input>:1:8: Syntax error",
            id="syntax",
        ),
        pytest.param(
            {"validations": [{"expression": "'a'"}], "matchConstraints": {"resourceRules": RULES}},
            "spec.validations[0].expression",
            "must evaluate to bool",
            id="type",
        ),
        pytest.param({"validations": [{"expression": "true"}]}, "spec.matchConstraints", "Required value", id="match"),
        pytest.param(
            {"validations": [], "matchConstraints": {"resourceRules": RULES}},
            "spec.validations",
            "Required value: validations or auditAnnotations must contain at least one item",
            id="nothing",
        ),
    ],
)
async def test_policies_that_are_none(raw: Raw, spec: Obj, field: str, part: str) -> None:
    reply = await raw("POST", f"{GROUP}/validatingadmissionpolicies", {"metadata": {"name": "none"}, "spec": spec})
    assert reply.status == 422
    texts = {name: text for name, _, text in reply.causes}
    assert part in texts[field]
