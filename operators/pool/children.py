"""Children of a pool: its Deployment, and the budgets that protect busy workers."""

import hashlib
import json
from typing import Any

from operators.core import hardware
from operators.core.children import OWNER_LABEL, SCRAPE, pull_secrets, workload_container, workload_pod
from operators.core.plan import Manifest
from operators.core.platform import Platform, Pool

POOL_LABEL, BUSY_LABEL = "haat.dev/pool", "haat.dev/busy"
SAFE_LABEL = "haat.dev/safe-to-evict"
"""`false` on workers that the budget protects, as `agones.dev/safe-to-evict` is."""
TEMPLATE_LABEL = "haat.dev/worker-template"
"""Which template a worker was made from."""
LEAVING_LABEL = "haat.dev/leaving"
WORKER, LEAVING = "transcoder-pool", "transcoder-pool-leaving"
"""`app.kubernetes.io/name` of workers, and of those that were taken out of their Deployment."""
GRACE_SECONDS = 3600


def deployment_name(name: str) -> str:
    """Deployment of a pool."""
    return f"pool-{name}"


def owner_label(name: str) -> str:
    """Value of `haat.dev/owner` on everything of a pool."""
    return f"pool.{name}"[:63]


def selector(name: str) -> dict[str, str]:
    """Labels of the Deployment's pods."""
    return {"app.kubernetes.io/name": WORKER, "app.kubernetes.io/instance": name}


def build_deployment(name: str, platform: Platform, template: Manifest, replicas: int) -> Manifest:
    """Workers are replaced one more at a time; a busy one that is told to go keeps its streams for up to an hour."""
    return _object(
        platform,
        name=deployment_name(name),
        pool=name,
        api_version="apps/v1",
        kind="Deployment",
        spec={
            "replicas": replicas,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": selector(name)},
            "template": template,
        },
    )


def build_template(name: str, pool: Pool, platform: Platform) -> Manifest:
    """The pod template, labelled with what it says."""
    made = {"metadata": {"labels": _labels(name), "annotations": SCRAPE}, "spec": _pod(name, pool, platform)}
    canonical = json.dumps(made, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:12]
    return made | {"metadata": made["metadata"] | {"labels": _labels(name) | {TEMPLATE_LABEL: digest}}}


def build_budget(name: str, platform: Platform) -> Manifest:
    """Nobody evicts a worker that has a stream."""
    match = {"matchLabels": selector(name) | {SAFE_LABEL: "false"}}
    return _budget(name, platform, deployment_name(name), {"maxUnavailable": 0, "selector": match})


def build_leaving_budget(name: str, platform: Platform, workers: int) -> Manifest:
    """The same for workers without a Deployment: of these a budget can only count how many must stay."""
    match = {"matchLabels": {POOL_LABEL: name, LEAVING_LABEL: "true", SAFE_LABEL: "false"}}
    spec = {"minAvailable": workers, "selector": match}
    return _budget(name, platform, f"{deployment_name(name)}-leaving", spec)


def _budget(name: str, platform: Platform, budget: str, spec: dict[str, Any]) -> Manifest:
    return _object(platform, name=budget, pool=name, api_version="policy/v1", kind="PodDisruptionBudget", spec=spec)


def _labels(name: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": WORKER,
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": "transcoder",
        "app.kubernetes.io/part-of": "haat",
        "app.kubernetes.io/managed-by": "haat-operators",
        POOL_LABEL: name,
        OWNER_LABEL: owner_label(name),
    }


def _object(platform: Platform, *, name: str, pool: str, api_version: str, kind: str, spec: dict[str, Any]) -> Manifest:
    metadata = {"name": name, "namespace": platform.namespace, "labels": _labels(pool)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _pod(name: str, pool: Pool, platform: Platform) -> dict[str, Any]:
    template = pool.template
    container = workload_container(
        platform,
        component="transcoder",
        size=template.resources,
        image=template.image,
        env=[
            {"name": "HAAT_AUTH_JWKS", "value": platform.auth_jwks},
            {"name": "HAAT_RTMP_URL", "value": platform.rtmp_url},
            {"name": "HAAT_POOL", "value": name},
            {"name": "HAAT_POOL_UNITS", "value": str(pool.capacity_per_worker)},
            *hardware.environment(template.hardware),
        ],
        devices=hardware.devices(template.hardware),
    )
    return workload_pod(
        container,
        grace_seconds=GRACE_SECONDS,
        nodeSelector=hardware.node_selector(template.hardware) | template.node_selector,
        priorityClassName=platform.priority_class,
        imagePullSecrets=pull_secrets(platform),
    )
