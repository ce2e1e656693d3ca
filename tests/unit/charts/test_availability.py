"""`ha.enabled`: two of all that may be two, spread, budgeted, with priorities; and one of what must be one."""

import pytest
import yaml

from tests.unit.charts.conftest import AUTH, Obj, merged, named, of_kind, pods, render, rendered

SEVERAL = ("operators", "identity", "ingest", "edge", "commerce")


def replicas(documents: list[Obj]) -> dict[str, int]:
    return {d["metadata"]["name"]: d["spec"]["replicas"] for d in of_kind(documents, "Deployment")}


def test_one_of_each_by_default() -> None:
    assert set(replicas(rendered("default")).values()) == {1}
    assert not of_kind(rendered("default"), "PodDisruptionBudget")


def test_two_of_all_that_may_be_two() -> None:
    assert replicas(rendered("ha")) == {**dict.fromkeys(SEVERAL, 2), "committer": 1}


def test_more_replicas_than_that_are_kept() -> None:
    found = replicas(render(merged(AUTH, {"ha": {"enabled": True, "replicas": 3}, "edge": {"replicas": 5}})))
    assert found["edge"] == 5
    assert found["identity"] == 3


def test_there_are_never_two_committers() -> None:
    committer = named(rendered("ha"), "Deployment", "committer")
    assert committer["spec"]["strategy"] == {"type": "Recreate"}
    assert committer["spec"]["replicas"] == 1


def test_each_service_with_several_pods_has_a_budget() -> None:
    budgets = of_kind(rendered("ha"), "PodDisruptionBudget")
    assert {budget["metadata"]["name"] for budget in budgets} == set(SEVERAL)
    templates = dict(pods(rendered("ha")))
    for budget in budgets:
        selector = budget["spec"]["selector"]["matchLabels"]
        assert selector.items() <= templates[budget["metadata"]["name"]]["metadata"]["labels"].items()
        assert budget["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize("service", SEVERAL)
def test_pods_are_spread_over_zones_and_nodes(service: str) -> None:
    template = dict(pods(rendered("ha")))[service]
    constraints = template["spec"]["topologySpreadConstraints"]
    assert [item["topologyKey"] for item in constraints] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    for item in constraints:
        assert item["whenUnsatisfiable"] == "ScheduleAnyway"
        assert item["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_what_sales_depend_on_comes_before_the_rest() -> None:
    documents = rendered("ha")
    value = {d["metadata"]["name"]: d["value"] for d in of_kind(documents, "PriorityClass")}
    assert value["haat-control"] > value["haat-service"] > 0 > value["haat-balloon"]
    classes = {name: template["spec"]["priorityClassName"] for name, template in pods(documents)}
    assert {name for name, found in classes.items() if found == "haat-control"} == {
        "operators", "committer", "redis", "postgres",
    }  # fmt: skip
    platform = yaml.safe_load(named(documents, "ConfigMap", "haat-platform")["data"]["platform.yaml"])
    assert platform["priorityClass"] == "haat-control"


def test_balloons_give_way_to_everybody() -> None:
    found = named(rendered("default"), "PriorityClass", "haat-balloon")
    assert found["preemptionPolicy"] == "Never"
    assert not of_kind(rendered("namespaced"), "PriorityClass")
    for case, wanted in (("default", "haat-balloon"), ("namespaced", "")):
        text = named(rendered(case), "ConfigMap", "haat-platform")["data"]["platform.yaml"]
        assert yaml.safe_load(text)["balloonPriorityClass"] == wanted


def test_a_rollout_never_takes_a_pod_before_its_successor_is_ready() -> None:
    for deployment in of_kind(rendered("ha"), "Deployment"):
        if deployment["metadata"]["name"] != "committer":
            assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
