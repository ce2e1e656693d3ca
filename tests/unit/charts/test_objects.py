"""What Helm renders is what an API server takes: two independent schemas, unique names, a platform file that parses."""

import kubernetes_validate
import pytest
import yaml
from kubernetes.aio import client

from operators.core.platform import parse
from tests.unit.charts.conftest import CASES, CHART, NAMESPACE, Obj, named, of_kind, pods, render, rendered

KUBERNETES = "1.36"
MONITORING_KINDS = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}


def core(documents: list[Obj]) -> list[Obj]:
    """Objects of Kubernetes itself."""
    return [document for document in documents if document["kind"] not in MONITORING_KINDS]


def test_every_object_is_of_a_type_that_the_client_knows(documents: list[Obj]) -> None:
    for document in core(documents):
        getattr(client, f"V1{document['kind']}").model_validate(document)


def test_every_object_meets_the_published_schema(documents: list[Obj]) -> None:
    for document in core(documents):
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_the_schemas_refuse_a_typing_mistake() -> None:
    deployment = yaml.safe_load(yaml.safe_dump(named(rendered("default"), "Deployment", "edge")))
    deployment["spec"]["template"]["spec"]["containers"][0]["imagePolicy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)
    with pytest.raises(ValueError, match="imagePolicy"):
        client.V1Deployment.model_validate(deployment)


def test_names_are_unique(documents: list[Obj]) -> None:
    names = [(d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in documents]
    assert len(set(names)) == len(names)


def test_the_operators_can_read_the_platform_file(documents: list[Obj]) -> None:
    text = named(documents, "ConfigMap", "haat-platform")["data"]["platform.yaml"]
    platform = parse(yaml.safe_load(text))
    assert platform.namespace == NAMESPACE
    assert NAMESPACE in platform.network_policies.gateway_namespaces
    assert platform.pools["default"].buffer.min == 1


def test_services_select_pods_that_exist(documents: list[Obj]) -> None:
    templates = [template["metadata"]["labels"] for _, template in pods(documents)]
    for service in of_kind(documents, "Service"):
        selector = service["spec"]["selector"].items()
        assert any(selector <= labels.items() for labels in templates), service["metadata"]["name"]


def test_every_container_that_is_mounted_has_its_volume(documents: list[Obj]) -> None:
    for name, template in pods(documents):
        spec = template["spec"]
        volumes = {volume["name"] for volume in spec.get("volumes", ())}
        if name in ("redis", "postgres"):
            volumes.add("data")
        for container in spec["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes, name


def test_the_custom_resources_have_a_chart_of_their_own() -> None:
    definitions = of_kind(render({}, chart=CHART.parent / "haat-crds"), "CustomResourceDefinition")
    assert {"channels.haat.dev", "livestreams.haat.dev", "flashsales.haat.dev"} <= {
        definition["metadata"]["name"] for definition in definitions
    }


def test_all_cases_were_meant() -> None:
    assert {"default", "ha", "external", "namespaced", "kind"} <= set(CASES)
