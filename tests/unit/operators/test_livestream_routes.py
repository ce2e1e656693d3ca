"""Where a room and a studio are reached: on the platform's address, on the channel's own host, through its Gateway."""

from typing import Any

import pytest

from operators.core.capabilities import Capabilities
from operators.core.plan import Manifest
from operators.livestream.plan import plan
from tests.unit.operators.builders import NOW, PLATFORM, channel, observed, stream

HOST = "live.aarong.example"
ROOM, STUDIO = "/ws/shop/launch", "/streams/shop/launch/studio"
POOLED = {"transcode": {"placement": "Pooled"}}
EMPTY = {"fanout": {"minReplicas": 0}}


def routes(delivery: dict[str, Any], *, gateway: bool = False, **spec: Any) -> dict[str, Manifest]:
    seen = observed(channel=channel(delivery=delivery), capabilities=Capabilities(gateway=gateway))
    made = plan(stream(**spec), seen, PLATFORM, NOW).applies
    return {item["kind"]: item for item in made if item["kind"] in ("Ingress", "HTTPRoute")}


def hosts(ingress: Manifest) -> dict[str, list[str]]:
    """Host (empty: any) -> its paths."""
    return {rule.get("host", ""): [item["path"] for item in rule["http"]["paths"]] for rule in ingress["spec"]["rules"]}


@pytest.mark.parametrize(
    ("spec", "paths"),
    [
        pytest.param({}, [ROOM, STUDIO], id="pods of its own"),
        pytest.param(POOLED, [ROOM], id="pooled: the edge knows the studio"),
        pytest.param(EMPTY, [STUDIO], id="nobody yet: the edge holds the first visitors"),
    ],
)
def test_the_channels_host_has_the_same_paths(spec: dict[str, Any], paths: list[str]) -> None:
    assert hosts(routes({}, **spec)["Ingress"]) == {"": paths}
    assert hosts(routes({"hostname": HOST}, **spec)["Ingress"]) == {"": paths, HOST: paths}


def test_without_a_path_there_is_no_ingress() -> None:
    """An Ingress rule without paths is refused by the API server."""
    assert routes({"hostname": HOST}, **POOLED, **EMPTY) == {}


def test_a_host_of_a_gateway_gets_an_http_route() -> None:
    delivery = {"hostname": HOST, "gatewayRef": {"name": "public", "namespace": "infra", "sectionName": "https"}}
    found = routes(delivery, gateway=True)
    assert hosts(found["Ingress"]) == {"": [ROOM, STUDIO]}
    route = found["HTTPRoute"]
    assert route["spec"]["hostnames"] == [HOST]
    (parent,) = route["spec"]["parentRefs"]
    assert (parent["name"], parent["namespace"], parent["sectionName"]) == ("public", "infra", "https")
    backends = {rule["matches"][0]["path"]["value"]: rule["backendRefs"][0] for rule in route["spec"]["rules"]}
    assert {path: backend["name"] for path, backend in backends.items()} == {
        ROOM: "launch-fanout",
        STUDIO: "launch-transcoder",
    }
    assert all("namespace" not in backend for backend in backends.values())


@pytest.mark.parametrize(
    ("delivery", "gateway"),
    [
        pytest.param({"gatewayRef": {"name": "public"}}, True, id="no host: the platform's address has the room"),
        pytest.param({"hostname": HOST, "gatewayRef": {"name": "public"}}, False, id="no Gateway API"),
    ],
)
def test_no_http_route(delivery: dict[str, Any], gateway: bool) -> None:
    assert set(routes(delivery, gateway=gateway)) == {"Ingress"}
