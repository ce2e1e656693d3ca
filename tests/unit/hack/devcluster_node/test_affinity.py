"""Session affinity, and the listeners of a Service."""

from typing import Any

import pytest

from hack.devcluster.objects import Obj
from hack.devcluster.proxy.affinity import Affinity, affinity_seconds
from hack.devcluster.proxy.endpoints import Directory, ServicePort
from hack.devcluster.proxy.services import wanted_listeners

TARGET = ServicePort("n", "s", "http")


def slice_of(*addresses: str) -> Obj:
    return {
        "metadata": {"name": "s-1", "namespace": "n", "labels": {"kubernetes.io/service-name": "s"}},
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        "ports": [{"name": "http", "port": 80}],
    }


def test_a_client_keeps_its_pod_until_it_goes_or_the_time_is_over() -> None:
    directory, now = Directory(), [0.0]
    directory.on_slice(None, slice_of("10.0.0.1", "10.0.0.2"))
    affinity = Affinity(directory, lambda: now[0])
    first = affinity.pick(TARGET, "c", 10.0)
    assert first is not None
    assert {affinity.pick(TARGET, "c", 10.0) for _ in range(5)} == {first}
    assert affinity.pick(TARGET, "other", 10.0) != first
    now[0] = 9.0
    assert affinity.pick(TARGET, "c", 10.0) == first
    now[0] = 18.0
    assert affinity.pick(TARGET, "c", 10.0) == first
    left = "10.0.0.2" if first[0] == "10.0.0.1" else "10.0.0.1"
    directory.on_slice(None, slice_of(left))
    assert affinity.pick(TARGET, "c", 10.0) == (left, 80)


def test_without_affinity_pods_take_turns() -> None:
    directory = Directory()
    directory.on_slice(None, slice_of("10.0.0.1", "10.0.0.2"))
    affinity = Affinity(directory)
    assert len({affinity.pick(TARGET, "c", None) for _ in range(2)}) == 2


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        ({}, None),
        ({"sessionAffinity": "None"}, None),
        ({"sessionAffinity": "ClientIP"}, 10_800.0),
        ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}}, 5.0),
    ],
)
def test_time_out(spec: Obj, seconds: float | None) -> None:
    assert affinity_seconds({"spec": spec}) == seconds


def listeners(**spec: Any) -> set[tuple[str, int, str]]:
    port = {"name": "http", "port": 80, "nodePort": 30_080, "protocol": "TCP"}
    service = {
        "metadata": {"name": "s", "namespace": "n"},
        "spec": {"clusterIP": "127.96.0.5", "ports": [port], **spec},
    }
    return {(one.address, one.number, one.protocol) for one in wanted_listeners(service, node_bind="127.0.0.1")}


def test_listeners_by_type() -> None:
    cluster, node, balancer = ("127.96.0.5", 80, "TCP"), ("127.0.0.1", 30_080, "TCP"), ("127.0.0.1", 80, "TCP")
    assert listeners() == {cluster}
    assert listeners(type="NodePort") == {cluster, node}
    assert listeners(type="LoadBalancer") == {cluster, node, balancer}
    assert listeners(clusterIP="None") == set()
    assert listeners(type="ExternalName") == set()
