"""Empty values of built-in kinds: what a typed decoder drops, what it keeps, and who owns a dropped field."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from .conftest import Api, Raw

Obj = dict[str, Any]
EMPTY_META: Obj = {"labels": {}, "annotations": {}, "finalizers": [], "ownerReferences": []}
SELECTOR = {"matchLabels": {"app": "x"}}
POD: Obj = {
    "containers": [
        {
            "name": "c",
            "image": "registry.example/x:1",
            "command": [],
            "args": [],
            "workingDir": "",
            "env": [{"name": "EMPTY", "value": ""}, {"name": "SET", "value": "1"}],
            "envFrom": [{"prefix": "", "configMapRef": {"name": "cm", "optional": False}}],
            "ports": [{"containerPort": 80, "name": "", "hostPort": 0, "protocol": "", "hostIP": ""}],
            "resources": {"limits": {}, "requests": {}},
            "stdin": False,
            "terminationMessagePath": "",
            "imagePullPolicy": "",
            "securityContext": {"privileged": False, "runAsUser": 0, "capabilities": {"add": [], "drop": []}},
            "lifecycle": {},
            "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": False, "subPath": ""}],
            "readinessProbe": {"httpGet": {"path": "", "port": 80, "host": ""}, "initialDelaySeconds": 0},
        }
    ],
    "initContainers": [],
    "volumes": [{"name": "v", "emptyDir": {"medium": ""}}, {"name": "w", "configMap": {"name": "cm", "items": []}}],
    "nodeSelector": {},
    "hostNetwork": False,
    "serviceAccountName": "",
    "restartPolicy": "",
    "tolerations": [],
    "affinity": {"nodeAffinity": {}},
    "securityContext": {"supplementalGroups": []},
}
FILLED_POD: Obj = {
    "containers": [
        {
            "name": "c",
            "image": "registry.example/x:1",
            "env": [{"name": "EMPTY"}, {"name": "SET", "value": "1"}],
            "envFrom": [{"configMapRef": {"name": "cm", "optional": False}}],
            "ports": [{"containerPort": 80, "protocol": "TCP"}],
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent",
            "securityContext": {"privileged": False, "runAsUser": 0, "capabilities": {}},
            "lifecycle": {},
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
            "readinessProbe": {
                "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
                "timeoutSeconds": 1,
                "periodSeconds": 10,
                "successThreshold": 1,
                "failureThreshold": 3,
            },
        }
    ],
    "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "cm", "defaultMode": 420}}],
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "affinity": {"nodeAffinity": {}},
    "securityContext": {},
}
TEMPLATE: Obj = {"metadata": {"labels": {"app": "x"}, "annotations": {}}, "spec": POD}
FILLED: Obj = {"metadata": {"labels": {"app": "x"}}, "spec": FILLED_POD}


def made(api_version: str, kind: str, **body: Any) -> Obj:
    meta = {"name": "e", **copy.deepcopy(EMPTY_META)}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **copy.deepcopy(body)}


DEPLOYMENT = made(
    "apps/v1",
    "Deployment",
    spec={
        "replicas": 0,
        "minReadySeconds": 0,
        "paused": False,
        "revisionHistoryLimit": 0,
        "selector": {**SELECTOR, "matchExpressions": []},
        "strategy": {"type": ""},
        "template": TEMPLATE,
    },
)
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
