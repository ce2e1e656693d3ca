"""The chart rendered by real Helm, once for each set of values that the tests look at."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import Config

from hack.cli.paths import CHARTS, ROOT

Obj = dict[str, Any]
CHART = CHARTS / "haat"
NAMESPACE = "haat-system"
AUTH = {"auth": {"privateKey": "test-key", "jwks": '{"keys": []}'}}
MONITORING = {
    name: {"enabled": True, "labels": {"release": "prometheus"}}
    for name in ("serviceMonitor", "prometheusRule", "dashboards")
}
CASES: dict[str, Obj] = {
    "default": {},
    "ha": {"ha": {"enabled": True}, "global": {"imagePullSecrets": [{"name": "registry"}]}},
    "external": {
        "redis": {"external": {"existingSecret": "my-redis"}},
        "postgres": {
            "external": {"url": "postgresql://u:p@db:5432/haat", "sslMode": "verify-full", "caConfigMap": "db-ca"}
        },
        "auth": {"existingSecret": "my-auth", "privateKey": ""},
    },
    "namespaced": {"rbac": {"scope": "namespaced", "watchNamespaces": ["shop", "bazaar"], "aggregateRoles": False}},
    "monitored": {"monitoring": MONITORING},
    "kind": yaml.safe_load((ROOT / "hack" / "kind" / "values.yaml").read_text()),
}


def merged(first: Obj, second: Obj) -> Obj:
    """Deep merge, as Helm merges values."""
    result = dict(first)
    for key, value in second.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def render(values: Obj, *, chart: Path = CHART) -> list[Obj]:
    """Every object of a client-side dry run of an install; HelmError when Helm refuses."""
    with Config(storage_driver="memory", namespace=NAMESPACE) as config:
        release = config.install(str(chart), "haat", values, dry_run="client", namespace=NAMESPACE)
    return [document for document in yaml.safe_load_all(release["manifest"]) if document]


@cache
def rendered(case: str) -> list[Obj]:
    return render(merged(AUTH, CASES[case]))


def of_kind(documents: list[Obj], *kinds: str) -> list[Obj]:
    return [document for document in documents if document["kind"] in kinds]


def named(documents: list[Obj], kind: str, name: str) -> Obj:
    return next(d for d in of_kind(documents, kind) if d["metadata"]["name"] == name)


def pods(documents: list[Obj]) -> list[tuple[str, Obj]]:
    """(name of the workload, pod template) of everything that makes pods."""
    found = []
    for document in of_kind(documents, "Deployment", "StatefulSet", "CronJob"):
        spec = document["spec"]
        template = spec["jobTemplate"]["spec"]["template"] if document["kind"] == "CronJob" else spec["template"]
        found.append((document["metadata"]["name"], template))
    return found


@pytest.fixture(params=list(CASES))
def documents(request: pytest.FixtureRequest) -> list[Obj]:
    """The objects of each case in turn."""
    return rendered(request.param)
