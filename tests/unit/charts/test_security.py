"""Restricted pods, least rights, closed networks, secrets in Secrets only."""

import itertools

import pytest
import yaml
from helm_python import HelmError

from operators.runtime.client import PLURALS
from tests.unit.charts.conftest import AUTH, NAMESPACE, Obj, merged, named, of_kind, pods, render, rendered

ALLOWED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
ESCALATION = {"escalate", "bind", "impersonate"}


def rules(documents: list[Obj], name: str = "haat-operators") -> list[list[Obj]]:
    return [role["rules"] for role in of_kind(documents, "ClusterRole", "Role") if role["metadata"]["name"] == name]


def verbs_of(found: list[Obj]) -> dict[tuple[str, str], set[str]]:
    result: dict[tuple[str, str], set[str]] = {}
    for rule in found:
        for group, resource in itertools.product(rule["apiGroups"], rule["resources"]):
            result.setdefault((group, resource), set()).update(rule["verbs"])
    return result


def test_all_pods_meet_the_restricted_standard(documents: list[Obj]) -> None:
    for name, template in pods(documents):
        spec = template["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(spec), name
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert all(set(volume) - {"name"} <= ALLOWED_VOLUMES for volume in spec.get("volumes", ())), name
        for container in spec["containers"] + spec.get("initContainers", []):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert context["readOnlyRootFilesystem"] is True, name
            assert "privileged" not in context, name
            assert not any("hostPort" in port for port in container.get("ports", ())), name


def test_long_running_pods_have_three_probes_and_bounds(documents: list[Obj]) -> None:
    for name, template in pods(documents):
        for container in template["spec"]["containers"]:
            assert container["resources"]["limits"]["memory"], name
            assert name == "haat-audit" or {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)


def test_only_operators_may_talk_to_the_api(documents: list[Obj]) -> None:
    for account in of_kind(documents, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    for name, template in pods(documents):
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is (name == "operators"), name
        assert spec["serviceAccountName"] == ("haat-operators" if name == "operators" else "haat-workloads")


def test_operators_may_write_just_what_they_write(documents: list[Obj]) -> None:
    found = rules(documents)
    assert found
    for each in found:
        verbs = verbs_of(each)
        by_resource = {resource: allowed for (_, resource), allowed in verbs.items()}
        for kind in set(PLURALS.values()) - {"events"}:
            assert "get" in by_resource.get(kind, set()), kind
        assert verbs[("", "secrets")] == {"get", "create", "patch", "delete"}
        assert not any(allowed & (ESCALATION | {"*", "deletecollection"}) for allowed in verbs.values())
        assert not any("*" in key for key in verbs)
        assert ("", "pods/exec") not in verbs
        assert ("", "pods/eviction") not in verbs


def test_a_role_that_operators_make_holds_nothing_that_they_lack() -> None:
    verbs = verbs_of(rules(rendered("default"))[0])
    assert {"create", "patch"} <= verbs[("rbac.authorization.k8s.io", "roles")]
    assert "get" in verbs[("", "configmaps")] & verbs[("", "secrets")]


def test_a_namespaced_install_has_no_right_beyond_its_namespaces() -> None:
    documents = rendered("namespaced")
    assert not of_kind(documents, "ClusterRole", "ClusterRoleBinding")
    roles = [d for d in of_kind(documents, "Role") if d["metadata"]["name"] == "haat-operators"]
    assert {role["metadata"]["namespace"] for role in roles} == {"shop", "bazaar"}
    bindings = [d for d in of_kind(documents, "RoleBinding") if d["metadata"]["name"] == "haat-operators"]
    assert all(binding["subjects"][0]["namespace"] == NAMESPACE for binding in bindings)
    assert {binding["metadata"]["namespace"] for binding in bindings} == {"shop", "bazaar"}
    container = named(documents, "Deployment", "operators")["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "HAAT_WATCH_NAMESPACES", "value": "shop,bazaar"} in container["env"]


def test_a_namespaced_install_needs_namespaces() -> None:
    with pytest.raises(HelmError, match=r"rbac\.watchNamespaces is needed"):
        render(merged(AUTH, {"rbac": {"scope": "namespaced"}}))


def test_users_get_their_rights_through_the_clusters_roles() -> None:
    for role in ("view", "edit", "admin"):
        found = named(rendered("default"), "ClusterRole", f"haat-{role}")
        assert found["metadata"]["labels"][f"rbac.authorization.k8s.io/aggregate-to-{role}"] == "true"
        verbs = verbs_of(found["rules"])[("haat.dev", "livestreams")]
        assert ("create" in verbs) is (role != "view")


def test_secrets_stand_in_secrets_only(documents: list[Obj]) -> None:
    for document in documents:
        if document["kind"] != "Secret":
            text = yaml.safe_dump(document)
            assert "test-key" not in text
            assert "u:p@db" not in text


def test_the_users_own_secrets_are_used_and_none_is_made_for_them() -> None:
    documents = rendered("external")
    assert {secret["metadata"]["name"] for secret in of_kind(documents, "Secret")} == {"haat-postgres"}
    env = named(documents, "Deployment", "identity")["spec"]["template"]["spec"]["containers"][0]["env"]
    by_name = {entry["name"]: entry for entry in env}
    assert by_name["HAAT_AUTH_PRIVATE_KEY"]["valueFrom"]["secretKeyRef"]["name"] == "my-auth"
    assert by_name["HAAT_REDIS_URL"]["valueFrom"]["secretKeyRef"] == {"name": "my-redis", "key": "redis-url"}


def test_a_missing_key_says_how_to_make_one() -> None:
    with pytest.raises(HelmError, match="haat auth-values"):
        render({})


def selected(policy: Obj, labels: dict[str, str]) -> bool:
    selector = policy["spec"]["podSelector"]
    equal = selector.get("matchLabels", {}).items() <= labels.items()
    return equal and all(labels.get(e["key"]) in e["values"] for e in selector.get("matchExpressions", ()))


def ingress_ports(documents: list[Obj], component: str) -> dict[int, list[Obj]]:
    """Port -> peers (empty: anybody) that a component's pods may be reached on, monitoring left out."""
    labels = {
        "app.kubernetes.io/name": component,
        "app.kubernetes.io/instance": "haat",
        "app.kubernetes.io/part-of": "haat",
    }
    found: dict[int, list[Obj]] = {}
    for policy in of_kind(documents, "NetworkPolicy"):
        if policy["metadata"]["name"] == "haat-default" or not selected(policy, labels):
            continue
        for rule in policy["spec"].get("ingress", ()):
            for port in rule["ports"]:
                found[port["port"]] = rule.get("from", [])
    return found


def test_nothing_comes_in_unless_a_policy_says_so() -> None:
    documents = rendered("default")
    default = named(documents, "NetworkPolicy", "haat-default")
    assert set(default["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    for _, template in pods(documents):
        assert selected(default, template["metadata"]["labels"])
    assert ingress_ports(documents, "committer") == {}
    assert ingress_ports(documents, "ingest") == {1935: [], 9710: []}
    assert ingress_ports(documents, "edge") == {8080: []}
    assert ingress_ports(documents, "recorder") == {8080: []}
    assert ingress_ports(documents, "webrtc")[8189] == []
    (peer,) = ingress_ports(documents, "postgres")[5432]
    assert peer["podSelector"]["matchExpressions"][0]["values"] == ["commerce", "committer", "audit"]
    assert "namespaceSelector" not in peer
    assert all(peer["podSelector"]["matchLabels"] for peer in ingress_ports(documents, "redis")[6379])


def test_stores_never_call_out() -> None:
    for component in ("redis", "postgres"):
        labels = {"app.kubernetes.io/name": component, "app.kubernetes.io/instance": "haat"}
        for policy in of_kind(rendered("default"), "NetworkPolicy"):
            if policy["metadata"]["name"] != "haat-default" and selected(policy, labels):
                assert "Egress" not in policy["spec"]["policyTypes"]


def test_policies_can_be_left_to_others() -> None:
    documents = render(merged(AUTH, {"networkPolicy": {"enabled": False}}))
    assert not of_kind(documents, "NetworkPolicy")
