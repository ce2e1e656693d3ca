"""Who owns a field that a typed decoder drops, or fills in by itself."""

from __future__ import annotations

import copy
from typing import Any

from .conftest import Api, Raw
from .empty_shapes import DEPLOYMENT, Obj


def env_owned(obj: Obj, manager: str) -> Obj:
    """The fields of the variable EMPTY that a manager owns."""
    entry = next(item for item in obj["metadata"]["managedFields"] if item["manager"] == manager)
    container = entry["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"c"}']
    found: Obj = container["f:env"]['k:{"name":"EMPTY"}']
    return found


async def test_who_owns_a_dropped_field(api: Api) -> None:
    body = copy.deepcopy(DEPLOYMENT)
    del body["spec"]["template"]["spec"]["containers"][0]["ports"]  # "" and "TCP" are different keys of a port
    created = await api.create(body, field_manager="maker")
    assert env_owned(created, "maker") == {".": {}, "f:name": {}}
    applied = await api.apply(body, "applier", force=True)
    assert env_owned(applied, "applier") == {".": {}, "f:name": {}, "f:value": {}}
    again = await api.apply(body, "applier")
    assert again["metadata"]["generation"] == applied["metadata"]["generation"]
    assert env_owned(again, "applier") == env_owned(applied, "applier")


async def test_an_applied_null_is_owned_and_absent(api: Api) -> None:
    body = copy.deepcopy(DEPLOYMENT)
    body["spec"]["template"]["metadata"]["creationTimestamp"] = None
    body["spec"]["progressDeadlineSeconds"] = None
    applied = await api.apply(body, "applier")
    assert applied["spec"]["progressDeadlineSeconds"] == 600
    assert "creationTimestamp" not in applied["spec"]["template"]["metadata"]
    owned = applied["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
    assert "f:progressDeadlineSeconds" in owned
    assert "f:creationTimestamp" in owned["f:template"]["f:metadata"]


async def test_zero_values_of_required_fields_have_no_owner(raw: Raw) -> None:
    spec = {"podSelector": {}, "policyTypes": ["Ingress"]}
    path = f"/apis/networking.k8s.io/v1{raw.space.removeprefix('/api/v1')}/networkpolicies?fieldManager=m"
    reply = await raw("POST", path, {"metadata": {"name": "e"}, "spec": spec})
    assert reply.body["spec"]["podSelector"] == {}
    assert reply.body["metadata"]["managedFields"][0]["fieldsV1"] == {"f:spec": {"f:policyTypes": {}}}


def job(name: str, **spec: Any) -> Obj:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "registry.example/x:1"}]}
    template = {"metadata": {"labels": {"app": "x"}}, "spec": pod}
    meta = {"name": name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": meta,
        "spec": {"suspend": True, **spec, "template": template},
    }


async def test_defaults_of_a_job(api: Api) -> None:
    plain = (await api.create(job("plain", completions=1)))["spec"]
    assert (plain["backoffLimit"], plain["podReplacementPolicy"]) == (6, "TerminatingOrFailed")
    assert plain["manualSelector"] is False
    indexed = job("indexed", completions=2, completionMode="Indexed", backoffLimitPerIndex=1)
    assert (await api.create(indexed))["spec"]["backoffLimit"] == 2_147_483_647
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    failing = (await api.create(job("failing", podFailurePolicy={"rules": [rule]})))["spec"]
    assert failing["podReplacementPolicy"] == "Failed"
    assert failing["podFailurePolicy"]["rules"][0]["onPodConditions"] == [
        {"type": "DisruptionTarget", "status": "True"}
    ]


async def test_labels_and_selector_of_a_job_have_no_owner(api: Api) -> None:
    found = await api.create(job("plain"), field_manager="m")
    assert found["metadata"]["labels"] == found["spec"]["template"]["metadata"]["labels"]
    assert found["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "plain"
    owned = next(item for item in found["metadata"]["managedFields"] if item["manager"] == "m")["fieldsV1"]
    assert owned["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    assert "f:selector" not in owned["f:spec"]
