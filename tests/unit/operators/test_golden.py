"""Every child as YAML that a reviewer can read, and as a type of the Kubernetes API that refuses unknown fields.

After a wanted change: HAAT_UPDATE_GOLDEN=1 python -m pytest tests/unit/operators/test_golden.py
"""

import os
from pathlib import Path

import pytest
import yaml
from kubernetes.aio import client

from operators.api import KINDS
from operators.api.crd import crd
from operators.channel.plan import plan as plan_channel
from operators.core.platform import Pool
from operators.core.platform.file import Autoscaling
from operators.core.pooling import PoolState
from operators.flashsale.observe import SaleObserved
from operators.flashsale.plan import plan as plan_sale
from operators.livestream.plan import plan as plan_stream
from operators.models.plan import ray_service
from operators.pool.plan import PoolObserved
from operators.pool.plan import plan as plan_pool
from tests.unit.operators.builders import NOW, PLATFORM, channel, observed, sale, stream
from tests.unit.operators.channel.making import everything, linear, seen

FOLDER = Path(__file__).parent / "golden"
MODELS = {
    "ConfigMap": client.V1ConfigMap,
    "Secret": client.V1Secret,
    "Service": client.V1Service,
    "ServiceAccount": client.V1ServiceAccount,
    "Deployment": client.V1Deployment,
    "DaemonSet": client.V1DaemonSet,
    "Job": client.V1Job,
    "NetworkPolicy": client.V1NetworkPolicy,
    "HorizontalPodAutoscaler": client.V2HorizontalPodAutoscaler,
    "PodDisruptionBudget": client.V1PodDisruptionBudget,
    "Ingress": client.V1Ingress,
    "Role": client.V1Role,
    "RoleBinding": client.V1RoleBinding,
}


def children() -> list[dict]:
    on_air = stream(metadata={"name": "x"}, status={"phase": "Live"})
    made = [*plan_stream(stream(), observed(), PLATFORM, NOW).applies]
    made += plan_channel(channel(), seen(), PLATFORM, NOW).applies
    made += plan_channel(linear(), seen(streams=(on_air,)), PLATFORM, NOW).applies
    for asked, world in everything():
        found = plan_channel(asked, world, PLATFORM, NOW).applies
        made += [item for item in found if item["kind"] in ("Secret", "Service", "Ingress", "HTTPRoute")]
    made += plan_sale(
        sale(capacity={"expectedViewers": 9000, "prewarm": {"nodes": True, "imagePrePull": True}}),
        SaleObserved(stream()),
        PLATFORM,
        NOW,
    ).applies
    hpa = stream(metadata={"name": "hpa"}, autoscaling={"provider": "HPA"}, fanout={"minReplicas": 2})
    keda = stream(metadata={"name": "keda"}, autoscaling={"provider": "KEDA"})
    platform = PLATFORM.model_copy(update={"autoscaling": Autoscaling(prometheus_url="http://prometheus:9090")})
    for subject in (hpa, keda):
        planned = plan_stream(subject, observed(sales=(sale(),)), platform, NOW).applies
        made += [item for item in planned if item["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")]
    made += plan_pool("default", Pool(), PoolObserved(PoolState()), PLATFORM, NOW).applies
    service = ray_service("shop", {"co-view"}, PLATFORM)
    return [*made, *([service] if service else [])]


@pytest.mark.parametrize("manifest", children(), ids=lambda item: f"{item['kind']}-{item['metadata']['name']}")
def test_golden(manifest: dict) -> None:
    path = FOLDER / f"{manifest['kind'].lower()}-{manifest['metadata']['name']}.yaml"
    text = yaml.safe_dump(manifest, sort_keys=False, width=120)
    if os.environ.get("HAAT_UPDATE_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text


@pytest.mark.parametrize("manifest", children(), ids=lambda item: f"{item['kind']}-{item['metadata']['name']}")
def test_the_api_knows_every_field(manifest: dict) -> None:
    if manifest["kind"] in MODELS:
        MODELS[manifest["kind"]].model_validate(manifest)


def test_pods_are_restricted() -> None:
    for manifest in children():
        if manifest["kind"] in ("Deployment", "DaemonSet"):
            pod = manifest["spec"]["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"]
            assert pod["automountServiceAccountToken"] is False
            for container in pod["containers"]:
                assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
                assert container["securityContext"]["allowPrivilegeEscalation"] is False


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind_name)
def test_crds_are_structural(kind: type) -> None:
    client.V1CustomResourceDefinition.model_validate(crd(kind))
    text = yaml.safe_dump(crd(kind))
    assert "$ref" not in text
    assert "anyOf" not in text
