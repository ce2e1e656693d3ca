"""The chart, rendered by real Helm: types that the API knows, restricted pods, and rights for what operators apply."""

import pytest
import yaml
from helm_python import Config, HelmError
from kubernetes.aio import client

from hack.cli.paths import CHARTS
from operators.runtime.client import PLURALS

VALUES = {"auth": {"privateKey": "test-key", "jwks": '{"keys": []}'}}


def render(values: dict) -> list[dict]:
    with Config(storage_driver="memory", namespace="haat-system") as config:
        release = config.install(str(CHARTS / "haat"), "haat", values, dry_run="client", namespace="haat-system")
    return [document for document in yaml.safe_load_all(release["manifest"]) if document]


@pytest.fixture(scope="module")
def documents() -> list[dict]:
    return render(VALUES)


def of_kind(documents: list[dict], *kinds: str) -> list[dict]:
    return [document for document in documents if document["kind"] in kinds]


def test_every_object_is_of_a_type_that_the_api_knows(documents: list[dict]) -> None:
    for document in documents:
        getattr(client, f"V1{document['kind']}").model_validate(document)


def test_names_are_unique(documents: list[dict]) -> None:
    names = [(d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in documents]
    assert len(set(names)) == len(names)


def test_all_pods_meet_the_restricted_standard(documents: list[dict]) -> None:
    for workload in of_kind(documents, "Deployment", "StatefulSet"):
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"], workload["metadata"]["name"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)


def test_only_operators_may_talk_to_the_api(documents: list[dict]) -> None:
    for workload in of_kind(documents, "Deployment", "StatefulSet"):
        pod = workload["spec"]["template"]["spec"]
        expected = workload["metadata"]["name"] == "operators"
        assert pod["automountServiceAccountToken"] is expected, workload["metadata"]["name"]


def test_operators_may_write_just_what_they_write(documents: list[dict]) -> None:
    role = next(d for d in of_kind(documents, "ClusterRole") if d["metadata"]["name"] == "haat-operators")
    verbs = {resource: set(rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]}
    for kind in set(PLURALS.values()) - {"events"}:
        assert "patch" in verbs[kind], kind
    assert verbs["secrets"].isdisjoint({"list", "watch"})
    assert "*" not in {verb for each in verbs.values() for verb in each}


def test_secrets_stand_in_secrets_only(documents: list[dict]) -> None:
    for document in documents:
        if document["kind"] != "Secret":
            assert "test-key" not in yaml.safe_dump(document)


def test_a_missing_key_says_how_to_make_one() -> None:
    with pytest.raises(HelmError, match="haat auth-values"):
        render({})
