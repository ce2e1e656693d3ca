"""Objects full of empty values, and what an API server keeps of them."""

from __future__ import annotations

import copy
from typing import Any

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
