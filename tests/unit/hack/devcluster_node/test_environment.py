"""Container environments."""

import base64
from typing import Any

import pytest

from hack.devcluster.node.environment import ConfigError, Sources, container_environment
from hack.devcluster.node.service_env import service_environment

POD: dict[str, Any] = {
    "metadata": {"name": "p-0", "namespace": "shop", "uid": "u", "labels": {"app": "x"}, "annotations": {"a/b": 'q"'}},
    "spec": {"nodeName": "haat"},
    "status": {"podIP": "127.64.0.9"},
}
MAPS = {"cm": {"data": {"KEY": "v", "bad name": "n"}}}
SECRETS = {"s": {"data": {"PW": base64.b64encode(b"pw").decode()}}}
SOURCES = Sources(config_map=MAPS.get, secret=SECRETS.get, capacity={"cpu": "2", "memory": "1Gi"})


def environment(container: dict[str, Any]) -> dict[str, str]:
    return container_environment(POD, container, base={"BASE": "b"}, sources=SOURCES)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("metadata.name", "p-0"),
        ("metadata.namespace", "shop"),
        ("metadata.labels['app']", "x"),
        ("metadata.annotations['a/b']", 'q"'),
        ("status.podIP", "127.64.0.9"),
        ("spec.serviceAccountName", "default"),
    ],
)
def test_field(path: str, wanted: str) -> None:
    assert environment({"env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}]})["X"] == wanted


def test_values_expand_earlier_ones_only() -> None:
    entries = [
        {"name": "URL", "value": "http://$(HOST):$(PORT)"},
        {"name": "HOST", "value": "$(BASE)"},
        {"name": "PORT", "value": "1"},
        {"name": "FULL", "value": "$(HOST):$(PORT)"},
    ]
    found = environment({"env": entries})
    assert found["URL"] == "http://$(HOST):$(PORT)"
    assert found["FULL"] == "b:1"


def test_env_from_with_prefix_skips_bad_names_and_env_wins() -> None:
    container = {
        "envFrom": [{"configMapRef": {"name": "cm"}, "prefix": "P_"}, {"secretRef": {"name": "s"}}],
        "env": [{"name": "PW", "value": "own"}],
    }
    found = environment(container)
    assert found["P_KEY"] == "v"
    assert "P_bad name" not in found
    assert found["PW"] == "own"


@pytest.mark.parametrize(
    ("resource", "divisor", "wanted"),
    [
        ("requests.cpu", "1m", "250"),
        ("requests.cpu", "1", "1"),
        ("limits.memory", "1Mi", "1024"),
        ("limits.cpu", "0", "2"),
    ],
)
def test_resource_field(resource: str, divisor: str, wanted: str) -> None:
    reference = {"resourceFieldRef": {"resource": resource, "divisor": divisor}}
    container = {"resources": {"requests": {"cpu": "250m"}}, "env": [{"name": "X", "valueFrom": reference}]}
    assert environment(container)["X"] == wanted


@pytest.mark.parametrize(
    ("value_from", "message"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "k"}}, 'configmap "none" not found'),
        ({"configMapKeyRef": {"name": "cm", "key": "k"}}, "couldn't find key k in configmap shop/cm"),
        ({"secretKeyRef": {"name": "none", "key": "k"}}, 'secret "none" not found'),
        ({"fieldRef": {"fieldPath": "spec.magic"}}, "not supported"),
    ],
)
def test_missing(value_from: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        environment({"env": [{"name": "X", "valueFrom": value_from}]})


def test_optional_missing_is_left_out() -> None:
    reference = {"secretKeyRef": {"name": "none", "key": "k", "optional": True}}
    assert "X" not in environment({"env": [{"name": "X", "valueFrom": reference}]})


def test_service_variables() -> None:
    services: list[dict[str, Any]] = [
        {
            "metadata": {"name": "my-db", "namespace": "shop"},
            "spec": {
                "clusterIP": "127.96.0.5",
                "ports": [{"name": "sql-main", "port": 5432}, {"port": 9, "protocol": "UDP"}],
            },
        },
        {
            "metadata": {"name": "other", "namespace": "else"},
            "spec": {"clusterIP": "127.96.0.6", "ports": [{"port": 1}]},
        },
        {"metadata": {"name": "headless", "namespace": "shop"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}},
    ]
    found = service_environment(services, namespace="shop")
    assert found["MY_DB_SERVICE_HOST"] == "127.96.0.5"
    assert found["MY_DB_SERVICE_PORT"] == found["MY_DB_SERVICE_PORT_SQL_MAIN"] == "5432"
    assert found["MY_DB_PORT"] == found["MY_DB_PORT_5432_TCP"] == "tcp://127.96.0.5:5432"
    assert found["MY_DB_PORT_9_UDP_PROTO"] == "udp"
    assert not any(name.startswith(("OTHER", "HEADLESS")) for name in found)
    assert service_environment(services, namespace="shop", links=False) == {}
