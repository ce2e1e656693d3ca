"""RBAC as a client meets it: denials, escalation, impersonation, and the reviews that explain them."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Api, Raw, until

Obj = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"


def role(name: str, *rules: Obj) -> Obj:
    return {"metadata": {"name": name}, "rules": list(rules)}


def binding(name: str, role_name: str, user: str, kind: str = "Role") -> Obj:
    subject = {"apiGroup": GROUP, "kind": "User", "name": user}
    ref = {"apiGroup": GROUP, "kind": kind, "name": role_name}
    return {"metadata": {"name": name}, "roleRef": ref, "subjects": [subject]}


def rule(group: str, resources: list[str], verbs: list[str], **more: Any) -> Obj:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs, **more}


@pytest.fixture
async def path(api: Api, raw: Raw) -> str:
    """Bob may write roles and read ConfigMaps in the test's namespace."""
    found = f"/apis/{GROUP}/v1/namespaces/{api.namespace}"
    writer = rule(GROUP, ["roles", "rolebindings"], ["create", "patch", "update"])
    await raw("POST", f"{found}/roles", role("writer", writer, rule("", ["configmaps"], ["get", "list"])))
    await raw("POST", f"{found}/rolebindings", binding("writer", "writer", "bob"))
    await raw("POST", f"{found}/roles", role("big", rule("", ["secrets"], ["get"])))

    async def known() -> bool:
        return (await raw("GET", f"{raw.space}/configmaps", Impersonate_User="bob")).status == 200

    await until(known)
    return found


@pytest.mark.parametrize(
    ("method", "where", "sentence"),
    [
        pytest.param("GET", "/pods", 'cannot list resource "pods" in API group ""', id="list"),
        pytest.param("GET", "/pods?watch=1", 'cannot watch resource "pods" in API group ""', id="watch"),
        pytest.param("GET", "/pods/x", 'cannot get resource "pods" in API group ""', id="get"),
        pytest.param("GET", "/pods/x/log", 'cannot get resource "pods/log" in API group ""', id="subresource"),
        pytest.param("POST", "/pods", 'cannot create resource "pods" in API group ""', id="create"),
        pytest.param("PUT", "/pods/x", 'cannot update resource "pods" in API group ""', id="update"),
        pytest.param("PATCH", "/pods/x", 'cannot patch resource "pods" in API group ""', id="patch"),
        pytest.param("DELETE", "/pods/x", 'cannot delete resource "pods" in API group ""', id="delete"),
        pytest.param(
            "DELETE", "/pods", 'cannot deletecollection resource "pods" in API group ""', id="deletecollection"
        ),
    ],
)
async def test_denials_name_user_verb_and_place(api: Api, raw: Raw, method: str, where: str, sentence: str) -> None:
    reply = await raw(method, raw.space + where, Impersonate_User="nobody")
    assert (reply.status, reply.body["reason"]) == (403, "Forbidden")
    assert reply.message.endswith(f': User "nobody" {sentence} in the namespace "{api.namespace}"')


async def test_denials_at_the_cluster_scope_and_on_paths(raw: Raw) -> None:
    reply = await raw("GET", "/api/v1/nodes", Impersonate_User="nobody")
    text = 'nodes is forbidden: User "nobody" cannot list resource "nodes" in API group "" at the cluster scope'
    assert reply.message == text
    reply = await raw("GET", "/metrics", Impersonate_User="nobody")
    assert (reply.status, reply.message) == (403, 'forbidden: User "nobody" cannot get path "/metrics"')


async def test_nobody_grants_more_than_they_hold(raw: Raw, path: str) -> None:
    more = role("more", rule("", ["secrets", "pods/log"], ["get", "delete"]), rule("apps", ["*"], ["*"]))
    reply = await raw("POST", f"{path}/roles", more, Impersonate_User="bob", Impersonate_Group="crew")
    assert reply.status == 403
    assert reply.message == (
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "bob" (groups=["crew" "system:authenticated"]) is '
        "attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["pods/log"], Verbs:["get" "delete"]}\n'
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}\n'
        '{APIGroups:["apps"], Resources:["*"], Verbs:["*"]}'
    )
    less = role("less", rule("", ["configmaps"], ["get"]))
    assert (await raw("POST", f"{path}/roles", less, Impersonate_User="bob")).status == 201
    grow = {"rules": [rule("", ["*"], ["*"])]}
    media = "application/merge-patch+json"
    assert (await raw("PATCH", f"{path}/roles/less", grow, media=media, Impersonate_User="bob")).status == 403


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        pytest.param("writer", "Role", 201, id="own"),
        pytest.param("big", "Role", 403, id="more"),
        pytest.param("cluster-admin", "ClusterRole", 403, id="everything"),
        pytest.param("none", "Role", 404, id="unknown"),
    ],
)
async def test_nobody_binds_what_they_do_not_hold(raw: Raw, path: str, name: str, kind: str, code: int) -> None:
    reply = await raw("POST", f"{path}/rolebindings", binding("b", name, "eve", kind), Impersonate_User="bob")
    assert reply.status == code, reply.body


async def test_the_verb_bind_lets_them(raw: Raw, path: str) -> None:
    await raw("POST", f"{path}/roles", role("binder", rule(GROUP, ["roles"], ["bind"], resourceNames=["big"])))
    await raw("POST", f"{path}/rolebindings", binding("binder", "binder", "bob"))

    async def bound() -> bool:
        reply = await raw("POST", f"{path}/rolebindings", binding("b", "big", "eve"), Impersonate_User="bob")
        return reply.status == 201

    await until(bound)


async def test_a_role_ref_never_changes(raw: Raw, path: str) -> None:
    body = {"roleRef": {"name": "big"}}
    reply = await raw("PATCH", f"{path}/rolebindings/writer", body, media="application/merge-patch+json")
    assert reply.status == 422
    [(field, _, message)] = reply.causes
    assert (field, message.endswith("cannot change roleRef")) == ("roleRef", True)


@pytest.mark.parametrize(
    ("headers", "name", "groups"),
    [
        pytest.param({"Impersonate_User": "eve"}, "eve", ["system:authenticated"], id="user"),
        pytest.param(
            {"Impersonate_User": "eve", "Impersonate_Group": "crew"},
            "eve",
            ["crew", "system:authenticated"],
            id="group",
        ),
        pytest.param(
            {"Impersonate_User": "system:serviceaccount:here:robot"},
            "system:serviceaccount:here:robot",
            ["system:serviceaccounts", "system:serviceaccounts:here", "system:authenticated"],
            id="account",
        ),
    ],
)
async def test_impersonation(raw: Raw, headers: dict[str, str], name: str, groups: list[str]) -> None:
    reply = await raw("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, **headers)
    info = reply.body["status"]["userInfo"]
    assert (info["username"], info["groups"]) == (name, groups)


async def test_impersonation_needs_a_right_and_a_name(raw: Raw, path: str) -> None:
    assert (await raw("GET", "/api/v1/nodes", Impersonate_Group="crew")).status == 400
    review = {
        "spec": {"user": "bob", "resourceAttributes": {"verb": "impersonate", "resource": "users", "name": "eve"}}
    }
    reply = await raw("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    assert reply.body["status"]["allowed"] is False


async def test_access_reviews_say_why(api: Api, raw: Raw, path: str) -> None:
    ask = {"resourceAttributes": {"verb": "get", "resource": "configmaps", "namespace": api.namespace}}
    own = await raw(
        "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": ask}, Impersonate_User="bob"
    )
    reason = f'RBAC: allowed by RoleBinding "writer/{api.namespace}" of Role "writer" to User "bob"'
    assert own.body["status"] == {"allowed": True, "reason": reason}
    rules = await raw(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        {"spec": {"namespace": api.namespace}},
        Impersonate_User="bob",
    )
    assert rule("", ["configmaps"], ["get", "list"]) in [
        {key: item[key] for key in ("apiGroups", "resources", "verbs")}
        for item in rules.body["status"]["resourceRules"]
    ]


async def test_aggregated_roles_gather_rules(api: Api, raw: Raw) -> None:
    base = f"/apis/{GROUP}/v1/clusterroles"
    label = {f"aggregate-{api.namespace}": "yes"}
    whole = {
        "metadata": {"name": f"whole-{api.namespace}"},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": label}]},
    }
    part = {"metadata": {"name": f"part-{api.namespace}", "labels": label}, "rules": [rule("", ["pods"], ["get"])]}
    await raw("POST", base, whole)
    await raw("POST", base, part)

    async def gathered() -> bool:
        return bool((await raw("GET", f"{base}/whole-{api.namespace}")).body.get("rules") == part["rules"])

    await until(gathered, 20)
    for name in ("whole", "part"):
        await raw("DELETE", f"{base}/{name}-{api.namespace}")
