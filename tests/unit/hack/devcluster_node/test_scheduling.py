"""What the one node takes, and who gives way."""

from typing import Any

import pytest

from hack.devcluster.node import fit
from hack.devcluster.node.fit import Place, fit_reasons, requests_of
from hack.devcluster.node.predicates import AFFINITY, UNSCHEDULABLE, node_reason
from hack.devcluster.node.preemption import choose_victims, may_preempt
from hack.devcluster.node.quantity import QuantityError
from hack.devcluster.objects import Obj

PLACE = Place(labels={"kubernetes.io/hostname": "haat", "os": "linux"}, allocatable={"cpu": "2", "pods": "3"})


def pod(cpu: str = "0", *, name: str = "p", labels: Obj | None = None, **spec: Any) -> Obj:
    return {
        "metadata": {"name": name, "namespace": "n", "labels": labels or {}, "uid": name},
        "spec": {"containers": [{"resources": {"requests": {"cpu": cpu}}}], **spec},
        "status": {},
    }


@pytest.mark.parametrize(
    ("wanted", "bound", "reasons"),
    [
        (pod("1"), [pod("1")], []),
        (pod("1"), [pod("1500m")], ["Insufficient cpu"]),
        (pod("3"), [], ["Insufficient cpu"]),
        (pod("1"), [{**pod("2"), "status": {"phase": "Succeeded"}}], []),
        (pod("1"), [{**pod("2"), "metadata": {"deletionTimestamp": "x"}}], ["Insufficient cpu"]),
        (pod(), [pod(), pod(), pod()], ["Too many pods"]),
    ],
)
def test_resources(wanted: Obj, bound: list[Obj], reasons: list[str]) -> None:
    assert fit_reasons(wanted, PLACE, bound) == reasons


def test_a_malformed_quantity_is_told() -> None:
    with pytest.raises(QuantityError):
        fit_reasons(pod("many"), PLACE, [])


def test_requests_of_init_containers_and_sidecars() -> None:
    def box(cpu: str, **more: Any) -> Obj:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    init = [box("1", restartPolicy="Always"), box("3")]
    assert requests_of(pod("1", initContainers=init))["cpu"] == 4
    assert requests_of(pod("3", initContainers=init))["cpu"] == 4
    assert requests_of(pod("4", initContainers=init))["cpu"] == 5


def node(labels: Obj | None = None, **spec: Any) -> Obj:
    return {"metadata": {"name": "haat", "labels": labels or {}}, "spec": spec}


def required(*expressions: Obj) -> Obj:
    terms = [{"matchExpressions": list(expressions)}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


@pytest.mark.parametrize(
    ("spec", "target", "reason"),
    [
        ({"nodeSelector": {"disk": "ssd"}}, node(), AFFINITY),
        ({"nodeSelector": {"disk": "ssd"}}, node({"disk": "ssd"}), ""),
        ({"affinity": required({"key": "a", "operator": "In", "values": ["1", "2"]})}, node({"a": "2"}), ""),
        ({"affinity": required({"key": "a", "operator": "NotIn", "values": ["2"]})}, node({"a": "2"}), AFFINITY),
        ({"affinity": required({"key": "a", "operator": "Gt", "values": ["1"]})}, node({"a": "2"}), ""),
        ({"affinity": required({"key": "a", "operator": "Lt", "values": ["1"]})}, node({"a": "x"}), AFFINITY),
        ({"affinity": required()}, node(), AFFINITY),
        ({}, node(unschedulable=True), UNSCHEDULABLE),
        (
            {},
            node(taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),
            "node(s) had untolerated taint {gpu: yes}",
        ),
        ({}, node(taints=[{"key": "gpu", "effect": "PreferNoSchedule"}]), ""),
        (
            {"tolerations": [{"key": "gpu", "value": "yes"}]},
            node(taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),
            "",
        ),
        ({"tolerations": [{"operator": "Exists"}]}, node(taints=[{"key": "any", "effect": "NoExecute"}]), ""),
        (
            {"tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute"}]},
            node(taints=[{"key": "gpu", "effect": "NoSchedule"}]),
            "node(s) had untolerated taint {gpu: }",
        ),
    ],
)
def test_the_node(spec: Obj, target: Obj, reason: str) -> None:
    assert node_reason(pod(**spec), target) == reason


def away(app: str, key: str = "kubernetes.io/hostname", kind: str = "podAntiAffinity") -> Obj:
    term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def test_anti_affinity_holds_both_ways() -> None:
    web, lonely = pod(labels={"app": "web"}), pod(labels={"app": "x"}, affinity=away("web"))
    assert fit_reasons(lonely, PLACE, [web]) == [fit.ANTI_AFFINITY]
    assert fit_reasons(web, PLACE, [lonely]) == [fit.THEIR_ANTI_AFFINITY]
    elsewhere = {**web, "metadata": {**web["metadata"], "namespace": "other"}}
    assert fit_reasons(lonely, PLACE, [elsewhere]) == []
    assert fit_reasons(pod(affinity=away("web", "no-such-label")), PLACE, [web]) == []


def test_affinity_lets_the_first_of_a_group_in() -> None:
    together = away("web", kind="podAffinity")
    assert fit_reasons(pod(labels={"app": "web"}, affinity=together), PLACE, []) == []
    assert fit_reasons(pod(labels={"app": "x"}, affinity=together), PLACE, []) == [fit.POD_AFFINITY]
    assert fit_reasons(pod(affinity=together), PLACE, [pod(labels={"app": "web"})]) == []


def spread(key: str = "kubernetes.io/hostname", **more: Any) -> Obj:
    selector = {"matchLabels": {"app": "web"}}
    constraint = {
        "topologyKey": key,
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": selector,
        **more,
    }
    return pod(labels={"app": "web"}, topologySpreadConstraints=[constraint])


def test_spreading_over_one_node() -> None:
    web = pod(labels={"app": "web"})
    assert fit_reasons(spread(), PLACE, [web]) == []
    assert fit_reasons(spread(minDomains=2), PLACE, [web]) == [fit.SPREAD]
    assert fit_reasons(spread(minDomains=2), PLACE, []) == []
    assert fit_reasons(spread("topology.kubernetes.io/zone"), PLACE, []) == [fit.SPREAD_LABEL]
    assert fit_reasons(spread("zone", whenUnsatisfiable="ScheduleAnyway"), PLACE, []) == []


def test_host_ports() -> None:
    def with_port(protocol: str) -> Obj:
        one = pod()
        one["spec"]["containers"][0]["ports"] = [{"hostPort": 80, "protocol": protocol}]
        return one

    assert fit_reasons(with_port("TCP"), PLACE, [with_port("TCP")]) == [fit.PORTS]
    assert fit_reasons(with_port("TCP"), PLACE, [with_port("UDP")]) == []


def victims(wanted: Obj, present: list[Obj], budgets: list[Obj] | None = None) -> list[str]:
    found = choose_victims(wanted, present, budgets or [], lambda kept: not fit_reasons(wanted, PLACE, kept))
    return [entry["metadata"]["name"] for entry in found]


def test_the_least_important_gives_way() -> None:
    low, lower = pod("1", name="low", priority=-1), pod("1", name="lower", priority=-10)
    assert victims(pod("1", priority=5), [low, lower]) == ["lower"]
    assert victims(pod("2", priority=5), [low, lower]) == ["low", "lower"]
    assert victims(pod("3", priority=5), [low, lower]) == []
    assert victims(pod("1", priority=-10), [low, lower]) == []


def test_pods_that_a_budget_protects_stay_if_others_can_go() -> None:
    guarded, free = pod("1", name="guarded", labels={"app": "g"}), pod("1", name="free")
    guarded["spec"]["priority"], free["spec"]["priority"] = 0, 1
    budget = {
        "metadata": {"namespace": "n"},
        "spec": {"selector": {"matchLabels": {"app": "g"}}},
        "status": {"disruptionsAllowed": 0},
    }
    assert victims(pod("1", priority=5), [guarded, free], [budget]) == ["free"]
    assert victims(pod("1", priority=5), [guarded, free]) == ["guarded"]


def test_who_may_not_preempt() -> None:
    assert "preemptionPolicy=Never" in may_preempt(pod(preemptionPolicy="Never"), [])
    waiting = pod(priority=5)
    waiting["status"]["nominatedNodeName"] = "haat"
    leaving = pod(name="old")
    leaving["metadata"]["deletionTimestamp"] = "x"
    assert "terminating pod" in may_preempt(waiting, [leaving])
    assert may_preempt(waiting, [pod(name="stays")]) == ""
