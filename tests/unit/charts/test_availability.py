"""`ha.enabled`: two of all that may be two, spread, budgeted, with priorities; and one of what must be one."""

import pytest
import yaml
from helm_python import HelmError

from operators.core.platform import parse
from tests.unit.charts.conftest import AUTH, CASES, Obj, merged, named, of_kind, pods, render, rendered

SEVERAL = ("operators", "identity", "ingest", "edge", "webrtc", "commerce")
FOR_SALES = {"identity", "edge", "commerce"}


def platform(documents: list[Obj]) -> Obj:
    found: Obj = yaml.safe_load(named(documents, "ConfigMap", "haat-platform")["data"]["platform.yaml"])
    return found


def replicas(documents: list[Obj]) -> dict[str, int]:
    """Replicas without a sale: of the Deployment, or of the platform file where the operators write them."""
    capacity = platform(documents)["capacity"]
    found = {}
    for deployment in of_kind(documents, "Deployment"):
        name = deployment["metadata"]["name"]
        assert ("replicas" in deployment["spec"]) is (name not in capacity), f"{name} has one writer of its replicas"
        found[name] = capacity[name]["min"] if name in capacity else deployment["spec"]["replicas"]
    return found


def test_one_of_each_by_default() -> None:
    assert set(replicas(rendered("default")).values()) == {1}
    budgets = {item["metadata"]["name"] for item in of_kind(rendered("default"), "PodDisruptionBudget")}
    assert budgets == FOR_SALES, "what grows for a sale has a budget from the start, and no other single pod has one"


def test_two_of_all_that_may_be_two() -> None:
    assert replicas(rendered("ha")) == {**dict.fromkeys(SEVERAL, 2), "committer": 1, "recorder": 1, "probe": 1}


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
    assert platform(documents)["priorityClass"] == "haat-control"


def test_balloons_give_way_to_everybody() -> None:
    found = named(rendered("default"), "PriorityClass", "haat-balloon")
    assert found["preemptionPolicy"] == "Never"
    assert not of_kind(rendered("namespaced"), "PriorityClass")
    for case, wanted in (("default", "haat-balloon"), ("namespaced", "")):
        text = named(rendered(case), "ConfigMap", "haat-platform")["data"]["platform.yaml"]
        assert yaml.safe_load(text)["balloonPriorityClass"] == wanted


def test_a_rollout_never_takes_a_pod_before_its_successor_is_ready() -> None:
    for deployment in of_kind(rendered("ha"), "Deployment"):
        if deployment["metadata"]["name"] not in ("committer", "recorder"):
            assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def capacity_rules(documents: list[Obj]) -> list[Obj]:
    found: list[Obj] = named(documents, "Role", "haat-operators-capacity")["rules"]
    return found


@pytest.mark.parametrize("case", ["default", "namespaced"])
def test_operators_may_write_the_replicas_of_what_sales_go_through_and_of_nothing_else(case: str) -> None:
    (rule,) = capacity_rules(rendered(case))
    assert rule == {
        "apiGroups": ["apps"],
        "resources": ["deployments"],
        "resourceNames": ["commerce", "edge", "identity"],
        "verbs": ["get", "patch"],
    }
    binding = named(rendered(case), "RoleBinding", "haat-operators-capacity")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "haat-operators", "namespace": "haat-system"}]


def test_an_autoscaler_of_ones_own_is_named_to_the_operators() -> None:
    documents = render(merged(AUTH, {"capacity": {"commerce": {"autoscaler": "shop-hpa"}}}))
    assert platform(documents)["capacity"]["commerce"]["autoscaler"] == "shop-hpa"
    assert "replicas" not in named(documents, "Deployment", "commerce")["spec"]
    _, rule = capacity_rules(documents)
    assert (rule["resources"], rule["resourceNames"]) == (["horizontalpodautoscalers"], ["shop-hpa"])


def test_a_service_can_be_kept_from_the_operators() -> None:
    documents = render(merged(AUTH, {"capacity": {"edge": None}, "identity": {"replicas": 0}}))
    assert set(platform(documents)["capacity"]) == {"commerce"}
    assert named(documents, "Deployment", "edge")["spec"]["replicas"] == 1
    assert named(documents, "Deployment", "identity")["spec"]["replicas"] == 0
    nobody = render(merged(AUTH, {"capacity": dict.fromkeys(FOR_SALES)}))
    assert platform(nobody)["capacity"] == {}
    assert "haat-operators-capacity" not in {item["metadata"]["name"] for item in of_kind(nobody, "Role")}


def test_more_replicas_than_there_may_be_are_refused() -> None:
    with pytest.raises(HelmError, match=r"capacity\.edge\.max is 10, below the 12 replicas"):
        render(merged(AUTH, {"edge": {"replicas": 12}}))


@pytest.mark.parametrize("case", list(CASES))
def test_the_operators_take_the_platform_file(case: str) -> None:
    assert parse(platform(rendered(case))).namespace == "haat-system"
