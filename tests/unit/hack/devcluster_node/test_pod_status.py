"""Pod phase and conditions."""

from typing import Any

import pytest

from hack.devcluster.node.pod_status import pod_conditions, pod_phase

RUN = {"running": {}}
WAIT = {"waiting": {"reason": "ContainerCreating"}}


def ended(code: int) -> dict[str, Any]:
    return {"terminated": {"exitCode": code}}


def statuses(*states: dict[str, Any], ready: bool = False) -> list[dict[str, Any]]:
    return [{"name": f"c{index}", "state": state, "ready": ready} for index, state in enumerate(states)]


def pod(policy: str) -> dict[str, Any]:
    return {"spec": {"restartPolicy": policy}}


@pytest.mark.parametrize(
    ("policy", "init", "main", "wanted"),
    [
        ("Always", [], [WAIT], "Pending"),
        ("Always", [], [RUN, WAIT], "Running"),
        ("Always", [], [ended(1)], "Running"),
        ("Never", [], [ended(0), ended(0)], "Succeeded"),
        ("Never", [], [ended(0), ended(1)], "Failed"),
        ("Never", [], [ended(0), RUN], "Running"),
        ("OnFailure", [], [ended(1)], "Running"),
        ("OnFailure", [], [ended(0)], "Succeeded"),
        ("Always", [RUN], [WAIT], "Pending"),
        ("Never", [ended(1)], [WAIT], "Failed"),
        ("Always", [ended(1)], [WAIT], "Pending"),
        ("Always", [ended(0)], [RUN], "Running"),
    ],
)
def test_phase(policy: str, init: list[Any], main: list[Any], wanted: str) -> None:
    assert pod_phase(pod(policy), init=statuses(*init), main=statuses(*main)) == wanted


def conditions(main: list[dict[str, Any]], previous: list[Any], now: float, **spec: Any) -> dict[str, dict[str, Any]]:
    found = pod_conditions({"spec": spec}, previous=previous, phase="Running", init=[], main=main, now=now)
    return {entry["type"]: entry for entry in found}


def test_transition_time_moves_with_the_status_only() -> None:
    first = conditions(statuses(RUN), [], 0.0)
    same = conditions(statuses(RUN), list(first.values()), 60.0)
    ready = conditions(statuses(RUN, ready=True), list(same.values()), 120.0)
    assert same["Ready"]["lastTransitionTime"] == "1970-01-01T00:00:00Z"
    assert ready["Ready"]["status"] == "True"
    assert ready["Ready"]["lastTransitionTime"] == "1970-01-01T00:02:00Z"
    assert ready["Initialized"]["lastTransitionTime"] == "1970-01-01T00:00:00Z"


def test_readiness_gate_and_foreign_conditions() -> None:
    foreign = {"type": "Scheduled", "status": "True"}
    found = conditions(statuses(RUN, ready=True), [foreign], 0.0, readinessGates=[{"conditionType": "Gate"}])
    assert found["ContainersReady"]["status"] == "True"
    assert found["Ready"]["reason"] == "ReadinessGatesNotReady"
    assert found["Scheduled"] == foreign
