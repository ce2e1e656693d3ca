"""What kubectl shows and does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from .conftest import Api
from .test_api_custom import group, widget  # noqa: F401 - the fixture

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]
pytestmark = pytest.mark.kubectl

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "registry.example/web:1", ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


async def test_apply_twice_then_edit(kubectl: Kubectl) -> None:
    assert "deployment.apps/web created" in kubectl("apply", "-f", "-", stdin=MANIFEST).stdout
    assert "deployment.apps/web unchanged" in kubectl("apply", "-f", "-", stdin=MANIFEST).stdout
    changed = MANIFEST.replace("web:1", "web:2")
    difference = kubectl("diff", "-f", "-", stdin=changed, ok=False)
    assert difference.returncode == 1
    assert "+      - image: registry.example/web:2" in difference.stdout
    assert "deployment.apps/web configured" in kubectl("apply", "-f", "-", stdin=changed).stdout
    image = kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}").stdout
    assert image == "registry.example/web:2"


async def test_server_side_apply_and_conflict(kubectl: Kubectl) -> None:
    assert "serverside-applied" in kubectl("apply", "--server-side", "-f", "-", stdin=MANIFEST).stdout
    other = MANIFEST.replace("replicas: 0", "replicas: 1")
    failed = kubectl("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=other, ok=False)
    assert failed.returncode != 0
    assert 'conflict with "kubectl": .spec.replicas' in failed.stderr
    kubectl("apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-", stdin=other)
    dry = kubectl("apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-", stdin=MANIFEST)
    assert "server dry run" in dry.stdout
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}").stdout == "1"


async def test_create_commands(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "one", "--from-literal=a=b")
    kubectl("create", "secret", "generic", "two", "--from-literal=a=b")
    kubectl("create", "deployment", "three", "--image=registry.example/x:1", "--replicas=0")
    kubectl("create", "serviceaccount", "four")
    kubectl("create", "role", "five", "--verb=get", "--resource=pods")
    kubectl("create", "rolebinding", "six", "--role=five", "--serviceaccount=default:four")
    kubectl("create", "-f", "-", stdin='{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"g-"}}')
    data = json.loads(kubectl("get", "secret", "two", "-o", "json").stdout)["data"]
    assert data == {"a": "Yg=="}
    assert kubectl("get", "deploy", "three", "-o", "jsonpath={.spec.replicas}").stdout == "0"
    assert len(kubectl("create", "token", "four").stdout) > 100


async def test_patches_scale_label_annotate(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    kubectl("patch", "deploy", "web", "-p", '{"spec":{"paused":true}}')
    kubectl("patch", "deploy", "web", "--type=merge", "-p", '{"spec":{"minReadySeconds":3}}')
    kubectl(
        "patch", "deploy", "web", "--type=json", "-p", '[{"op":"replace","path":"/spec/minReadySeconds","value":4}]'
    )
    kubectl("label", "deploy", "web", "x=y")
    kubectl("annotate", "deploy", "web", "note=z")
    kubectl("scale", "deploy", "web", "--replicas=1", "--current-replicas=0")
    found = json.loads(kubectl("get", "deploy", "web", "-o", "json").stdout)
    assert (found["spec"]["paused"], found["spec"]["minReadySeconds"], found["spec"]["replicas"]) == (True, 4, 1)
    assert found["metadata"]["labels"]["x"] == "y"
    kubectl("scale", "deploy", "web", "--replicas=0")


async def test_tables(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    lines = kubectl("get", "deploy", "-o", "wide").stdout.splitlines()
    assert lines[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    assert lines[1].split()[:2] == ["web", "0/0"]
    heads = kubectl("get", "svc").stdout.splitlines()[0].split()
    assert heads == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert kubectl("get", "ns", "-A").stdout.splitlines()[0].split() == ["NAME", "STATUS", "AGE"]


async def test_custom_resources(kubectl: Kubectl, api: Api, group: str) -> None:  # noqa: F811
    body = json.dumps(widget(group, items=[{"sku": "a", "price": 7}]))
    kubectl("apply", "-f", "-", stdin=body)
    kind = f"widgets.{group}"
    lines = kubectl("get", kind).stdout.splitlines()
    assert [line.split() for line in lines] == [["NAME", "SIZE"], ["one", "small"]]
    assert kubectl("get", kind, "-o", "wide").stdout.splitlines()[1].split() == ["one", "small", "7"]
    assert "size" in kubectl("explain", f"{kind}.spec").stdout
    refused = kubectl("apply", "-f", "-", stdin=body.replace("small", "huge"), ok=False)
    assert 'spec.size: Unsupported value: "huge": supported values: "big", "small"' in refused.stderr
    kubectl("patch", kind, "one", "--subresource=status", "--type=merge", "-p", '{"status":{"phase":"Live"}}')
    kubectl("wait", "--for=jsonpath={.status.phase}=Live", f"{kind}/one", "--timeout=5s")
    kubectl("delete", kind, "one", "--wait", "--timeout=10s")


async def test_explain_discovery_and_access(kubectl: Kubectl) -> None:
    assert "template" in kubectl("explain", "deployment.spec").stdout
    assert "deployments" in kubectl("api-resources").stdout
    assert "apps/v1" in kubectl("api-versions").stdout
    assert kubectl("auth", "can-i", "create", "pods").stdout.strip() == "yes"
    refused = kubectl("auth", "can-i", "create", "pods", "--as=nobody", ok=False)
    assert refused.stdout.strip() == "no"


async def test_describe_shows_events(kubectl: Kubectl, api: Api) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    uid = kubectl("get", "svc", "web", "-o", "jsonpath={.metadata.uid}").stdout
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e1"},
        "involvedObject": {
            "kind": "Service",
            "name": "web",
            "namespace": api.namespace,
            "uid": uid,
            "apiVersion": "v1",
        },
        "reason": "Tested",
        "message": "seen by describe",
        "type": "Normal",
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "count": 1,
    }
    kubectl("create", "-f", "-", stdin=json.dumps(event))
    assert "seen by describe" in kubectl("describe", "svc", "web").stdout
    assert "seen by describe" in kubectl("events").stdout


async def test_delete_waits(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    assert "deleted" in kubectl("delete", "-f", "-", "--wait", "--timeout=20s", stdin=MANIFEST).stdout
    assert kubectl("get", "deploy", "web", ok=False).returncode != 0


async def test_validation_by_the_server(kubectl: Kubectl) -> None:
    failed = kubectl("apply", "-f", "-", stdin=MANIFEST.replace("replicas: 0", "replica: 0"), ok=False)
    assert 'unknown field "spec.replica"' in failed.stderr
    wrong = kubectl(
        "apply", "-f", "-", stdin=MANIFEST.replace("{app: web}}\n  template", "{app: other}}\n  template"), ok=False
    )
    assert "`selector` does not match template `labels`" in wrong.stderr
