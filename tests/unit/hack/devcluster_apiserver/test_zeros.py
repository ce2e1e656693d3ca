"""Zero values of built-in types, and the word for the state of a job."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hack.devcluster.apiserver.conform import WrongType, conform
from hack.devcluster.apiserver.managed import zero
from hack.devcluster.apiserver.printcells import job_status
from hack.devcluster.apiserver.schema import DATA, Types, definitions

TYPES = Types()


def test_the_table_names_fields_that_exist() -> None:
    table = json.loads((DATA / "zeros.json").read_text(encoding="utf-8"))
    known = definitions()
    assert len(table) > 300
    for name, entry in table.items():
        fields = known[name]["f"].keys()
        assert set(entry.get("o", ())) <= fields, name
        assert entry.get("z", {}).keys() <= fields, name
        assert not set(entry.get("o", ())) & entry.get("z", {}).keys(), name


@pytest.mark.parametrize(
    ("definition", "given", "left"),
    [
        pytest.param("V1EnvVar", {"name": "X", "value": ""}, {"name": "X"}, id="text"),
        pytest.param("V1EnvVar", {"name": ""}, {"name": ""}, id="required text"),
        pytest.param("V1DeploymentSpec", {"replicas": 0, "minReadySeconds": 0}, {"replicas": 0}, id="numbers"),
        pytest.param("V1SecurityContext", {"privileged": False}, {"privileged": False}, id="pointer"),
        pytest.param("V1Volume", {"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}, id="pointer to struct"),
        pytest.param("V1ConfigMap", {"data": {}, "immutable": False}, {"immutable": False}, id="map"),
        pytest.param("V1Role", {"rules": []}, {"rules": []}, id="required list"),
        pytest.param("V1Container", {"resources": {}, "args": []}, {"resources": {}}, id="struct and list"),
        pytest.param("V1Container", {"env": [{"value": ""}]}, {"env": [{}]}, id="what empties stays"),
    ],
)
def test_what_vanishes(definition: str, given: Any, left: Any) -> None:
    kept = json.loads(json.dumps(given))
    assert conform(kept, TYPES.node(definition), [], keep_empty=True) == given
    assert conform(given, TYPES.node(definition), []) == left


def test_an_empty_value_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(WrongType):
        conform({"minReadySeconds": ""}, TYPES.node("V1DeploymentSpec"), [])


def test_zero_of_a_type_has_what_nobody_set() -> None:
    spec = zero(TYPES.node("V1Deployment"))["spec"]
    assert spec["template"] == {"metadata": {}, "spec": {"containers": []}}
    assert "replicas" not in spec
    assert zero(TYPES.node("V1PriorityClass"))["value"] == 0


@pytest.mark.parametrize(
    ("conditions", "word"),
    [
        pytest.param({"SuccessCriteriaMet": "True", "Complete": "True"}, "Complete", id="complete"),
        pytest.param({"FailureTarget": "True", "Failed": "True"}, "Failed", id="failed"),
        pytest.param({"SuccessCriteriaMet": "True"}, "SuccessCriteriaMet", id="ending"),
        pytest.param({"Suspended": "False"}, "Running", id="resumed"),
    ],
)
def test_the_state_of_a_job(conditions: dict[str, str], word: str) -> None:
    listed = [{"type": kind, "status": status} for kind, status in conditions.items()]
    assert job_status({"metadata": {}, "status": {"conditions": listed}}) == word
