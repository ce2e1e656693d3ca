"""Tokens, RBAC, reviews, and the subresources of pods that need no node."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException

from .conftest import Api, until
from .test_api_objects import code_of, config_map

Obj = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"


def pod(name: str = "one", **more: Any) -> Obj:
    spec = {"containers": [{"name": "main", "image": "registry.example/x:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **more}, "spec": spec}


@asynccontextmanager
async def as_account(api: Api, name: str) -> AsyncIterator[client.CoreV1Api]:
    """A client that holds a token of a service account."""
    core = client.CoreV1Api(api.dynamic.client)
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    request = await core.create_namespaced_service_account_token(name, api.namespace, body)
    settings = client.Configuration.get_default_copy()
    own = api.dynamic.client.configuration
    settings.host, settings.ssl_ca_cert, settings.verify_ssl = own.host, own.ssl_ca_cert, own.verify_ssl
    settings.api_key = {"BearerToken": f"Bearer {request.status.token}"}
    async with client.ApiClient(settings) as inner:
        yield client.CoreV1Api(inner)


def role(rules: list[Obj]) -> Obj:
    return {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": "suite"}, "rules": rules}


def binding(namespace: str, account: str = "default") -> Obj:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "suite"},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "suite"},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }


async def test_an_account_without_rules_is_refused(api: Api) -> None:
    async with as_account(api, "default") as core:
        with pytest.raises(ApiException) as caught:
            await core.list_namespaced_pod(api.namespace)
    assert caught.value.status == 403
    user = f"system:serviceaccount:{api.namespace}:default"
    where = f'in API group "" in the namespace "{api.namespace}"'
    text = f'pods is forbidden: User "{user}" cannot list resource "pods" {where}'
    assert json.loads(caught.value.body)["message"] == text


async def test_rules_open_just_what_they_name(api: Api) -> None:
    await api.create(config_map("mine"))
    await api.create(config_map("other"))
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"], "verbs": ["get"]}]
    await api.create(role(rules))
    await api.create(binding(api.namespace))
    async with as_account(api, "default") as core:

        async def readable() -> bool:
            try:
                return bool(await core.read_namespaced_config_map("mine", api.namespace))
            except ApiException:
                return False

        await until(readable)
        assert await code_of(core.read_namespaced_config_map("other", api.namespace)) == 403
        assert await code_of(core.list_namespaced_config_map(api.namespace)) == 403
        assert await code_of(core.read_namespaced_config_map("mine", "default")) == 403
    await api.delete(binding(api.namespace))


async def test_a_token_ends_with_its_account(api: Api) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "brief"}}
    await api.create(account)
    async with as_account(api, "brief") as core:
        await api.delete(account)

        async def refused() -> bool:
            return await code_of(core.list_namespaced_pod(api.namespace)) == 401

        await until(refused, 20)


async def test_access_reviews(api: Api) -> None:
    auth = client.AuthorizationV1Api(api.dynamic.client)
    ask = {"resourceAttributes": {"verb": "create", "resource": "pods", "namespace": api.namespace}}
    mine = await auth.create_self_subject_access_review({"spec": ask})
    assert mine.status.allowed is True
    theirs = await auth.create_subject_access_review({"spec": {**ask, "user": "nobody"}})
    assert theirs.status.allowed is False


async def test_anonymous_sees_health_and_version_only(api: Api) -> None:
    settings = client.Configuration.get_default_copy()
    own = api.dynamic.client.configuration
    settings.host, settings.ssl_ca_cert, settings.verify_ssl = own.host, own.ssl_ca_cert, own.verify_ssl
    settings.api_key = {}
    async with client.ApiClient(settings) as inner:
        assert (await client.VersionApi(inner).get_code()).major == "1"
        assert await code_of(client.CoreV1Api(inner).list_namespace()) in (401, 403)


async def test_a_wrong_token_is_unauthorized(api: Api) -> None:
    settings = client.Configuration.get_default_copy()
    own = api.dynamic.client.configuration
    settings.host, settings.ssl_ca_cert, settings.verify_ssl = own.host, own.ssl_ca_cert, own.verify_ssl
    settings.api_key = {"BearerToken": "Bearer wrong"}
    async with client.ApiClient(settings) as inner:
        assert await code_of(client.CoreV1Api(inner).list_namespace()) == 401


def unscheduled(**more: Any) -> Obj:
    """A pod that no scheduler feels responsible for."""
    body = pod(**more)
    body["spec"]["schedulerName"] = "suite-nobody"
    return body


async def test_binding_and_grace_of_pods(api: Api) -> None:
    made = await api.create(unscheduled())
    assert made["status"]["phase"] == "Pending"
    core = client.CoreV1Api(api.dynamic.client)
    target = {"metadata": {"name": "one"}, "target": {"kind": "Node", "name": "nowhere"}}
    await core.create_namespaced_pod_binding_without_preload_content("one", api.namespace, target)
    assert (await api.get(made))["spec"]["nodeName"] == "nowhere"
    assert await code_of(core.create_namespaced_pod_binding("one", api.namespace, target)) == 409
    found = await api.list(pod(), field_selector="spec.nodeName=nowhere")
    assert len(found["items"]) == 1
    await api.delete(made, body={"gracePeriodSeconds": 5})
    held = await api.get(made)
    assert held["metadata"]["deletionGracePeriodSeconds"] == 5
    await api.delete(made, body={"gracePeriodSeconds": 0})
    assert await code_of(api.get(made)) == 404


async def test_an_unscheduled_pod_goes_at_once(api: Api) -> None:
    made = await api.create(unscheduled())
    await api.delete(made)
    assert await code_of(api.get(made)) == 404


async def allow(api: Api, budget: Obj, least: int) -> None:
    """Set the budget; its status is written here too, for a cluster whose controllers do not run."""
    generation = (await api.patch(budget, {"spec": {"minAvailable": least}}))["metadata"]["generation"]
    counts = {"currentHealthy": 1, "desiredHealthy": least, "expectedPods": 1, "observedGeneration": generation}
    wanted = {**counts, "disruptionsAllowed": 1 - least}

    async def settled() -> bool:
        status = (await api.status(budget, {"status": wanted}))["status"]
        return all(status.get(name) == value for name, value in wanted.items())

    await until(settled)


async def test_eviction_keeps_the_budget(api: Api) -> None:
    made = await api.create(unscheduled(labels={"app": "x"}))
    core = client.CoreV1Api(api.dynamic.client)
    await api.status(made, {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "x"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}},
    }
    await api.create(budget)
    await allow(api, budget, 1)
    eviction = {"metadata": {"name": "one", "namespace": api.namespace}}
    assert await code_of(core.create_namespaced_pod_eviction("one", api.namespace, eviction)) == 429
    await allow(api, budget, 0)
    await core.create_namespaced_pod_eviction_without_preload_content("one", api.namespace, eviction)
    assert await code_of(api.get(made)) == 404
    assert (await api.get(budget))["status"]["disruptionsAllowed"] == 0


async def test_pods_need_an_account_that_exists(api: Api) -> None:
    body = pod()
    body["spec"]["serviceAccountName"] = "missing"
    assert await code_of(api.create(body)) == 403


async def test_events_in_both_apis(api: Api) -> None:
    target = {"kind": "Pod", "name": "x", "namespace": api.namespace, "apiVersion": "v1"}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e1"},
        "involvedObject": target,
        "reason": "Tested",
        "message": "a test",
        "type": "Normal",
        "source": {"component": "suite"},
    }
    await api.create(event)
    other = await api.get({**event, "apiVersion": "events.k8s.io/v1"})
    assert (other["note"], other["regarding"]["name"]) == ("a test", "x")
    found = await api.list(event, field_selector="involvedObject.name=x,type=Normal")
    assert [item["reason"] for item in found["items"]] == ["Tested"]


async def test_restricted_namespaces_refuse_loose_pods(api: Api) -> None:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": api.namespace}}
    await api.patch(space, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    with pytest.raises(ApiException) as caught:
        await api.create(pod())
    assert caught.value.status == 403
    assert 'violates PodSecurity "restricted:latest"' in json.loads(caught.value.body)["message"]
    strict = pod()
    strict["spec"]["securityContext"] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    strict["spec"]["containers"][0]["securityContext"] = context
    await api.create(strict)
