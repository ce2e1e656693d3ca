"""Empty values of built-in kinds: what a typed decoder drops and what it keeps."""

from __future__ import annotations

import copy

import pytest

from .conftest import Api
from .empty_shapes import DEPLOYMENT, EMPTY_META, FILLED, SELECTOR, Obj, made

CASES = [
    pytest.param(
        DEPLOYMENT,
        {
            "spec": {
                "replicas": 0,
                "revisionHistoryLimit": 0,
                "progressDeadlineSeconds": 600,
                "selector": SELECTOR,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
                "template": FILLED,
            }
        },
        id="deployment",
    ),
    pytest.param(
        made(
            "v1",
            "Service",
            spec={
                "selector": {"app": "x"},
                "clusterIP": "None",
                "ports": [{"name": "", "port": 80, "protocol": "", "nodePort": 0, "targetPort": 0}],
                "type": "",
                "externalIPs": [],
                "externalName": "",
                "sessionAffinity": "",
                "publishNotReadyAddresses": False,
            },
        ),
        {
            "spec": {
                "selector": {"app": "x"},
                "clusterIP": "None",
                "clusterIPs": ["None"],
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
                "type": "ClusterIP",
                "sessionAffinity": "None",
                "internalTrafficPolicy": "Cluster",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
            },
            "status": {"loadBalancer": {}},
        },
        id="service",
    ),
    pytest.param(
        made("v1", "ConfigMap", data={"empty": "", "set": "x"}, binaryData={}, immutable=False),
        {"data": {"empty": "", "set": "x"}, "immutable": False},
        id="config map",
    ),
    pytest.param(made("v1", "ConfigMap", data={}), {}, id="config map without data"),
    pytest.param(
        made("v1", "Secret", data={"empty": ""}, stringData={}, type=""),
        {"data": {"empty": ""}, "type": "Opaque"},
        id="secret",
    ),
    pytest.param(
        made(
            "networking.k8s.io/v1",
            "Ingress",
            spec={
                "defaultBackend": {"service": {"name": "s", "port": {"number": 80, "name": ""}}},
                "rules": [],
                "tls": [{"hosts": [], "secretName": ""}],
            },
        ),
        {
            "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}, "tls": [{}]},
            "status": {"loadBalancer": {}},
        },
        id="ingress",
    ),
    pytest.param(
        made("policy/v1", "PodDisruptionBudget", spec={"maxUnavailable": 0, "selector": {"matchLabels": {}}}),
        {"spec": {"maxUnavailable": 0, "selector": {}}},
        id="disruption budget",
    ),
    pytest.param(
        made(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            spec={
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"},
                "maxReplicas": 3,
                "metrics": [
                    {
                        "type": "Pods",
                        "pods": {
                            "metric": {"name": "m", "selector": {"matchLabels": {}}},
                            "target": {"type": "AverageValue", "averageValue": "1"},
                        },
                    }
                ],
            },
        ),
        {
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"},
                "minReplicas": 1,
                "maxReplicas": 3,
                "metrics": [
                    {
                        "type": "Pods",
                        "pods": {
                            "metric": {"name": "m", "selector": {}},
                            "target": {"type": "AverageValue", "averageValue": "1"},
                        },
                    }
                ],
            }
        },
        id="autoscaler",
    ),
    pytest.param(
        made(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            spec={
                "podSelector": {"matchLabels": {}},
                "policyTypes": [],
                "ingress": [{"from": [], "ports": []}, {"ports": [{"port": 80}]}],
                "egress": [],
            },
        ),
        {
            "spec": {
                "podSelector": {},
                "policyTypes": ["Ingress"],
                "ingress": [{}, {"ports": [{"port": 80, "protocol": "TCP"}]}],
            }
        },
        id="network policy",
    ),
]


def shown(obj: Obj) -> Obj:
    """Everything but metadata and what controllers may write into a status meanwhile."""
    keep = obj["kind"] in ("Service", "Ingress")
    return {
        key: value
        for key, value in obj.items()
        if key not in ("apiVersion", "kind", "metadata") and (key != "status" or keep)
    }


@pytest.mark.parametrize(("given", "wanted"), CASES)
async def test_created_and_applied(api: Api, given: Obj, wanted: Obj) -> None:
    first = await api.create(given)
    assert shown(first) == wanted
    assert not first["metadata"].keys() & EMPTY_META.keys()
    other = copy.deepcopy(given)
    other["metadata"]["name"] = "applied"
    second = await api.apply(other)
    assert shown(second) == wanted
    assert not second["metadata"].keys() & EMPTY_META.keys()


async def test_an_empty_update_changes_nothing(api: Api) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "e"}}
    before = await api.create(config)
    after = await api.replace({**config, "metadata": {"name": "e", **EMPTY_META}, "data": {}})
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    for media, body in (
        ("merge-patch", {"data": {}, "metadata": {"annotations": {}}}),
        ("strategic-merge-patch", {"binaryData": {}}),
        ("json-patch", [{"op": "add", "path": "/data", "value": {}}]),
    ):
        after = await api.patch(config, body, media)
        assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"], media


async def test_a_patch_that_empties_a_field(api: Api) -> None:
    await api.create(DEPLOYMENT)
    path = "/spec/template/spec/containers/0/env/1/value"
    after = await api.patch(DEPLOYMENT, [{"op": "replace", "path": path, "value": ""}], "json-patch")
    assert after["spec"]["template"]["spec"]["containers"][0]["env"][1] == {"name": "SET"}
    item = {"name": "SET", "value": "2"}
    body = {"spec": {"template": {"spec": {"containers": [{"name": "c", "env": [item]}]}}}}
    after = await api.patch(DEPLOYMENT, body, "strategic-merge-patch")
    assert item in after["spec"]["template"]["spec"]["containers"][0]["env"]
    item["value"] = ""
    after = await api.patch(DEPLOYMENT, body, "strategic-merge-patch")
    assert {"name": "SET"} in after["spec"]["template"]["spec"]["containers"][0]["env"]
