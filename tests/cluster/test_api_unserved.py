"""Devcluster's honesty: what it does not serve answers 501 with a sentence, metrics without an agent 503."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Raw

Obj = dict[str, Any]


@pytest.fixture(autouse=True)
def only_devcluster(is_devcluster: bool) -> None:
    if not is_devcluster:
        pytest.skip("a real cluster serves these")


def webhook(version: str = "v1", expression: str = "true") -> Obj:
    hook = {
        "name": "a.suite.example",
        "clientConfig": {"url": "https://127.0.0.1:1/x"},
        "sideEffects": "None",
        "admissionReviewVersions": [version],
        "matchConditions": [{"name": "c", "expression": expression}],
    }
    return {"metadata": {"name": "unserved"}, "webhooks": [hook]}


def conversion() -> Obj:
    schema = {"openAPIV3Schema": {"type": "object"}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    names = {"plural": "things", "kind": "Thing"}
    spec = {"group": "x.example.dev", "scope": "Namespaced", "names": names, "versions": [version]}
    return {"metadata": {"name": "things.x.example.dev"}, "spec": {**spec, "conversion": {"strategy": "Webhook"}}}


CONFIGS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


@pytest.mark.parametrize(
    ("method", "path", "body", "part"),
    [
        pytest.param("GET", "/api/v1/namespaces/default/pods/x/proxy", None, "proxy", id="proxy"),
        pytest.param("GET", "/api/v1/namespaces/default/pods/x/portforward", None, "portforward", id="port-forward"),
        pytest.param("POST", CONFIGS, webhook("v1beta1"), "AdmissionReview v1beta1", id="old reviews"),
        pytest.param(
            "POST",
            CONFIGS,
            webhook(expression="authorizer.path('/').check('get').allowed()"),
            "authorizer",
            id="authorizer",
        ),
        pytest.param(
            "POST",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            conversion(),
            "conversion",
            id="conversion",
        ),
    ],
)
async def test_501_with_a_sentence(raw: Raw, method: str, path: str, body: Any, part: str) -> None:
    reply = await raw(method, path, body)
    assert (reply.status, reply.body["reason"]) == (501, "NotImplemented")
    assert reply.message.startswith("devcluster does not implement ")
    assert part in reply.message


@pytest.mark.parametrize("plural", [pytest.param("nodes", id="nodes"), pytest.param("pods", id="pods")])
async def test_metrics_need_an_agent(raw: Raw, plural: str) -> None:
    listed = await raw("GET", "/apis/metrics.k8s.io/v1beta1")
    assert plural in [item["name"] for item in listed.body["resources"]]
    reply = await raw("GET", f"/apis/metrics.k8s.io/v1beta1/{plural}")
    assert (reply.status, reply.body["reason"]) == (503, "ServiceUnavailable")
    assert "no node agent answers" in reply.message
