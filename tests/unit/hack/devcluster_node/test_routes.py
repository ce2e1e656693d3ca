"""Merging of Ingress objects and matching."""

from typing import Any

import pytest

from hack.devcluster.proxy.endpoints import ServicePort, ready_addresses
from hack.devcluster.proxy.routes import build_routes


def ingress(name: str, *rules: tuple[str, str, str, str], cls: str | None = None, created: str = "1") -> dict[str, Any]:
    """Rules as (host, path, type, service)."""
    spec: dict[str, Any] = {
        "rules": [
            {
                "host": host,
                "http": {
                    "paths": [
                        {"path": path, "pathType": kind, "backend": {"service": {"name": to, "port": {"number": 80}}}}
                    ]
                },
            }
            for host, path, kind, to in rules
        ]
    }
    if cls:
        spec["ingressClassName"] = cls
    return {"metadata": {"name": name, "namespace": "n", "creationTimestamp": created}, "spec": spec}


def service(namespace: str, name: str) -> dict[str, Any] | None:
    if name == "missing":
        return None
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"ports": [{"name": "http", "port": 80}]}}


TABLE = build_routes(
    [
        ingress(
            "a", ("", "/", "Prefix", "edge"), ("", "/api/v1", "Prefix", "api"), ("", "/api/v1/session", "Exact", "id")
        ),
        ingress("b", ("shop.example", "/", "Prefix", "shop"), ("*.example", "/x", "ImplementationSpecific", "wild")),
        ingress("c", ("", "/gone", "Prefix", "missing"), ("", "/", "Prefix", "late"), created="2"),
        ingress("d", ("", "/other", "Prefix", "nginx"), cls="nginx"),
    ],
    service,
)


@pytest.mark.parametrize(
    ("host", "path", "wanted"),
    [
        ("any", "/", "edge"),
        ("any", "/s/a/b", "edge"),
        ("any", "/api/v1", "api"),
        ("any", "/api/v1/", "api"),
        ("any", "/api/v1x", "edge"),
        ("any", "/api/v1/session", "id"),
        ("any", "/api/v1/session/", "api"),
        ("any:8080", "/other", "edge"),
        ("SHOP.example:80", "/api/v1", "shop"),
        ("a.example", "/x/y", "wild"),
        ("a.example", "/y", "edge"),
    ],
)
def test_match(host: str, path: str, wanted: str) -> None:
    assert TABLE.match(host, path) == (True, ServicePort("n", wanted, "http"))


def test_missing_service_matches_without_target() -> None:
    assert TABLE.match("any", "/gone/x") == (True, None)


def test_no_rule() -> None:
    assert build_routes([], service).match("any", "/") == (False, None)


def test_ready_addresses_fall_back_to_draining_ones() -> None:
    def entry(*conditions: dict[str, bool]) -> dict[str, Any]:
        return {
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [{"addresses": [f"127.64.0.{i}"], "conditions": one} for i, one in enumerate(conditions)],
        }

    ready = {"ready": True, "serving": True, "terminating": False}
    draining = {"ready": False, "serving": True, "terminating": True}
    dead = {"ready": False, "serving": False, "terminating": True}
    assert ready_addresses([entry(draining, ready, dead)], "http") == [("127.64.0.1", 8080)]
    assert ready_addresses([entry(draining, dead)], "http") == [("127.64.0.0", 8080)]
    assert ready_addresses([entry(dead)], "http") == []
    assert ready_addresses([entry(ready)], "https") == []
