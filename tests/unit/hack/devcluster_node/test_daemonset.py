"""DaemonSet plans and the history of templates."""

from typing import Any

import pytest

from hack.devcluster.controllers.daemonset import plan, wanted_nodes, with_tolerations
from hack.devcluster.controllers.revisions import HASH_LABEL, build_revision, surplus_revisions
from hack.devcluster.objects import Obj


def pod(name: str, revision: str, *, ready: bool = True, **meta: Any) -> Obj:
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-01T00:00:00Z"}
    metadata = {"name": name, "labels": {HASH_LABEL: revision}, **meta}
    return {"metadata": metadata, "status": {"phase": "Running", "conditions": [condition]}}


def agent(surge: int = 0, kind: str = "RollingUpdate") -> Obj:
    return {"metadata": {"name": "d"}, "spec": {"updateStrategy": {"type": kind, "rollingUpdate": {"maxSurge": surge}}}}


@pytest.mark.parametrize(
    ("owner", "pods", "wanted", "create", "delete"),
    [
        (agent(), [], 1, True, []),
        (agent(), [], 0, False, []),
        (agent(), [pod("a", "r2")], 1, False, []),
        (agent(), [pod("a", "r1")], 1, False, ["a"]),
        (agent(), [pod("a", "r1", deletionTimestamp="x")], 1, False, []),
        (agent(kind="OnDelete"), [pod("a", "r1")], 1, False, []),
        (agent(1), [pod("a", "r1")], 1, True, []),
        (agent(1), [pod("a", "r1"), pod("b", "r2", ready=False)], 1, False, []),
        (agent(1), [pod("a", "r1"), pod("b", "r2")], 1, False, ["a"]),
        (agent(), [pod("a", "r2")], 0, False, ["a"]),
    ],
)
def test_steps(owner: Obj, pods: list[Obj], wanted: int, create: bool, delete: list[str]) -> None:
    found = plan(owner, pods, "r2", wanted=wanted, now=2e9)
    assert (found[0], [entry["metadata"]["name"] for entry in found[1]]) == (create, delete)


def test_a_cordoned_node_keeps_its_daemons_and_a_foreign_one_gets_none() -> None:
    cordoned: Obj = {"metadata": {"labels": {}}, "spec": {"unschedulable": True, "taints": []}}
    assert wanted_nodes({"spec": {}}, [cordoned]) == [cordoned]
    assert wanted_nodes({"spec": {"nodeSelector": {"gpu": "yes"}}}, [cordoned]) == []
    tolerated = with_tolerations({"spec": {}})
    assert with_tolerations(tolerated) == tolerated


def revision(number: int, value: str) -> Obj:
    return {"metadata": {"name": f"d-{value}", "labels": {HASH_LABEL: value}}, "revision": number}


def test_history() -> None:
    known = [revision(number, f"h{number}") for number in (3, 1, 2)]
    owner = {"spec": {"revisionHistoryLimit": 1}}
    assert [entry["revision"] for entry in surplus_revisions(owner, known, {"h3"})] == [1]
    assert surplus_revisions({"spec": {}}, known, set()) == []
    owner = {"metadata": {"name": "d", "namespace": "n"}, "spec": {"template": {"metadata": {"labels": {"a": "b"}}}}}
    built = build_revision(owner, {}, name="d-x", value="x", number=4)
    assert built["data"]["spec"]["template"]["$patch"] == "replace"
    assert built["metadata"]["labels"] == {"a": "b", HASH_LABEL: "x"}
