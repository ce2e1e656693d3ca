"""Values: all of them described, wrong ones refused by Helm with their path, and each one does something."""

import copy
import json
from typing import Any

import jsonschema
import pytest
import yaml
from helm_python import HelmError

from hack.chart.__main__ import main as chart_files
from hack.chart.schema import values_schema
from tests.unit.charts.conftest import AUTH, CASES, CHART, Obj, merged, named, of_kind, pods, render

SERVICES = (
    "operators",
    "identity",
    "ingest",
    "edge",
    "webrtc",
    "probe",
    "recorder",
    "commerce",
    "committer",
    "audit",
    "redis",
    "postgres",
)


def defaults() -> Obj:
    return yaml.safe_load((CHART / "values.yaml").read_text())


def test_schema_and_readme_are_those_that_the_generator_writes() -> None:
    assert chart_files(["--check"]) == 0


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(json.loads((CHART / "values.schema.json").read_text()))


def test_the_defaults_meet_the_schema() -> None:
    jsonschema.validate(defaults(), values_schema())


def undescribed(value: Any, schema: Obj, path: str = "") -> list[str]:
    if "properties" not in schema:
        described = schema.get("description") or "$ref" in schema
        return [] if described else [path]
    missing = [f"{path}{name}" for name in value if name not in schema["properties"]]
    unset = [
        f"{path}{name} has no default"
        for name in schema["properties"]
        if name not in value and name not in ("requests", "limits")
    ]
    below = [
        text
        for name, part in schema["properties"].items()
        if isinstance(value.get(name), dict) and name != "resources"
        for text in undescribed(value[name], part, f"{path}{name}.")
    ]
    return missing + unset + below


def test_every_value_is_described_and_every_description_has_a_value() -> None:
    assert undescribed(defaults(), values_schema()) == []


WRONG: list[Any] = [
    pytest.param({"edge": {"replica": 2}}, "replica", id="unknown value of a service"),
    pytest.param({"egde": {"replicas": 2}}, "egde", id="unknown section"),
    pytest.param({"edge": {"replicas": "two"}}, "replicas", id="text for a number"),
    pytest.param({"committer": {"replicas": 2}}, "replicas", id="two committers"),
    pytest.param({"images": {"pullPolicy": "Sometimes"}}, "pullPolicy", id="no policy"),
    pytest.param({"images": {"workloads": {"digest": "sha256:12"}}}, "digest", id="no digest"),
    pytest.param({"publicUrl": "shop.example.com"}, "publicUrl", id="no URL"),
    pytest.param({"rbac": {"scope": "Namespaced"}}, "scope", id="no scope"),
    pytest.param({"redis": {"external": {"url": "http://x"}}}, "url", id="no Redis URL"),
    pytest.param({"ladders": {"default": {"rungs": []}}}, "rungs", id="empty ladder"),
    pytest.param({"sizes": {"fanout": {"cpus": "1"}}}, "cpus", id="unknown size"),
    pytest.param({"edge": {"resources": {"limits": {"memory": "lots"}}}}, "memory", id="no quantity"),
]


@pytest.mark.parametrize(("values", "named_in"), WRONG)
def test_helm_refuses_a_wrong_value_and_names_it(values: Obj, named_in: str) -> None:
    with pytest.raises(HelmError, match=named_in):
        render(merged(AUTH, values))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"operators": {"replicas": 2, "leaderElection": False}}, "leaderElection must be true"),
        ({"redis": {"external": {"url": "redis://x", "existingSecret": "y"}}}, "not both"),
    ],
)
def test_values_that_contradict_one_another_are_refused(values: Obj, sentence: str) -> None:
    with pytest.raises(HelmError, match=sentence):
        render(merged(AUTH, values))


@pytest.mark.parametrize("service", SERVICES)
def test_every_pod_takes_the_settings_of_its_section(service: str) -> None:
    settings = {
        "resources": {"requests": {"cpu": "7m"}, "limits": {"memory": "77Mi"}},
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "live", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
        ],
        "podAnnotations": {"note": "yes"},
        "podLabels": {"team": "live"},
        "extraEnv": [{"name": "HAAT_LOG_LEVEL", "value": "DEBUG"}],
        "priorityClassName": "mine",
    }
    found = dict(pods(render(merged(AUTH, {service: settings}))))
    template = found["haat-audit" if service == "audit" else service]
    spec, (container,) = template["spec"], template["spec"]["containers"]
    assert container["resources"]["requests"]["cpu"] == "7m"
    assert container["resources"]["limits"]["memory"] == "77Mi"
    for name in ("nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName"):
        assert spec[name] == settings[name], name
    assert template["metadata"]["annotations"]["note"] == "yes"
    assert template["metadata"]["labels"]["team"] == "live"
    assert settings["extraEnv"][0] in container["env"]


def test_images_follow_registry_tag_and_digest() -> None:
    digest = f"sha256:{'a' * 64}"
    values = {
        "global": {"imageRegistry": "registry.example.com/mirror", "imageTag": "1.2.3"},
        "images": {"operators": {"digest": digest}},
    }
    documents = render(merged(AUTH, values))
    images = {name: template["spec"]["containers"][0]["image"] for name, template in pods(documents)}
    assert images["edge"] == "registry.example.com/mirror/haat/workloads:1.2.3"
    assert images["operators"] == f"registry.example.com/mirror/haat/operators@{digest}"
    assert images["redis"].startswith("registry.example.com/mirror/redis:7")
    platform = yaml.safe_load(named(documents, "ConfigMap", "haat-platform")["data"]["platform.yaml"])
    assert platform["images"]["models"] == "registry.example.com/mirror/haat/ml-serving:1.2.3"


def test_pull_secrets_reach_platform_and_streams() -> None:
    documents = render(merged(AUTH, CASES["ha"]))
    assert all(template["spec"]["imagePullSecrets"] == [{"name": "registry"}] for _, template in pods(documents))
    platform = yaml.safe_load(named(documents, "ConfigMap", "haat-platform")["data"]["platform.yaml"])
    assert platform["images"]["pullSecrets"] == ["registry"]


def test_stores_of_ones_own_replace_the_charts() -> None:
    documents = render(merged(AUTH, CASES["external"]))
    assert not of_kind(documents, "StatefulSet")
    env = named(documents, "Deployment", "committer")["spec"]["template"]["spec"]["containers"][0]["env"]
    by_name = {entry["name"]: entry.get("value") for entry in env}
    assert by_name["PGSSLMODE"] == "verify-full"
    assert by_name["PGSSLROOTCERT"] == "/etc/haat/postgres-ca/ca.crt"


def test_rendering_leaves_the_values_alone() -> None:
    values = merged(AUTH, CASES["ha"])
    before = copy.deepcopy(values)
    render(values)
    assert values == before
