"""Routes and networks of a Channel: Ingress, Gateway, providers; and what wakes it because of them."""

import json

import pytest

from operators.channel.observe import CdnProbe, cdn_probes
from operators.channel.plan import plan
from operators.core.capabilities import Capabilities
from operators.runtime.signals import Signals
from tests.unit.operators.builders import PLATFORM
from tests.unit.operators.channel.making import (
    NOW,
    TWO,
    WIDE,
    after,
    conditions,
    entry,
    linear,
    make,
    seen,
    settled,
    status_of,
    wanted,
)

GATE = {"delivery": {"gatewayRef": {"name": "public"}}}
SERVED = Capabilities(gateway=True)


def test_the_platform_serves_the_page_without_a_route() -> None:
    assert conditions(settled(make()))["Routed"] == ("True", "SharedIngress")


def test_an_own_host() -> None:
    result = settled(make(delivery={"hostname": "live.aarong.example"}))
    assert {("Ingress", "aarong-channel"), ("Service", "aarong-edge")} <= wanted(result)
    assert conditions(result)["Routed"] == ("True", "IngressExists")
    assert result.status["playback"]["page"] == "https://live.aarong.example/c/aarong"


def test_a_gateway_that_the_cluster_does_not_know() -> None:
    result = settled(make(**GATE))
    assert conditions(result)["Routed"] == ("False", "GatewayNotServed")
    assert "HTTPRoute" not in {kind for kind, _ in wanted(result)}


def parent(*conditions: dict, namespace: str | None = None, name: str = "public", generation: int = 2) -> dict:
    """What a Gateway's controller writes into a route."""
    ref = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"parentRef": ref, "conditions": [{"observedGeneration": generation} | item for item in conditions]}


TAKEN = {"type": "Accepted", "status": "True", "reason": "Accepted"}
REFUSED = {"type": "Accepted", "status": "False", "reason": "NotAllowedByListeners", "message": "No listener."}
NO_GRANT = {"type": "ResolvedRefs", "status": "False", "reason": "RefNotPermitted", "message": "Not permitted."}
ELSEWHERE = {"delivery": {"gatewayRef": {"name": "public", "namespace": "infra"}}}


@pytest.mark.parametrize(
    ("spec", "parents", "expected", "words"),
    [
        pytest.param(GATE, [], ("False", "WaitingForGateway"), "allow routes from shop", id="silent"),
        pytest.param(GATE, [parent(TAKEN)], ("True", "RouteAccepted"), "", id="taken"),
        pytest.param(ELSEWHERE, [parent(TAKEN, namespace="infra")], ("True", "RouteAccepted"), "", id="taken elsewhere"),
        pytest.param(ELSEWHERE, [parent(REFUSED, namespace="infra")], ("False", "NotAllowedByListeners"),
                     "infra/public: No listener. Allow namespace shop", id="refused elsewhere"),
        pytest.param(GATE, [parent(TAKEN, NO_GRANT)], ("False", "RefNotPermitted"), "ReferenceGrant in namespace haat-system",
                     id="no grant"),
        pytest.param(GATE, [parent(TAKEN, generation=1)], ("False", "WaitingForGateway"), "", id="of an older route"),
        pytest.param(GATE, [parent(REFUSED, generation=1), parent(TAKEN)], ("True", "RouteAccepted"), "",
                     id="refused once, taken now"),
        pytest.param(ELSEWHERE, [parent(TAKEN)], ("False", "WaitingForGateway"), "", id="another namespace's of that name"),
        pytest.param(GATE, [parent(REFUSED, name="other"), parent(TAKEN)], ("True", "RouteAccepted"), "",
                     id="another parent refuses"),
    ],
)  # fmt: skip
def test_what_the_gateway_says(spec: dict, parents: list, expected: tuple, words: str) -> None:
    world = {"capabilities": SERVED}
    live = after(plan(make(**spec), seen(**world), PLATFORM, NOW))
    live[("HTTPRoute", "aarong-channel")]["status"] = {"parents": parents}
    route = live[("HTTPRoute", "aarong-channel")]
    route["metadata"] = route["metadata"] | {"generation": 2}
    result = plan(make(**spec), seen(children=live, **world), PLATFORM, NOW)
    assert conditions(result)["Routed"] == expected
    assert words in next(item for item in result.status["conditions"] if item["type"] == "Routed")["message"]
    told = {event.reason for event in result.events if event.type == "Warning"}
    assert (expected[1] in told) is (expected[0] == "False" and expected[1] != "WaitingForGateway")


def paths(route: dict) -> dict[str, tuple[str, str]]:
    """Path -> (namespace, Service) of an HTTPRoute."""
    found = {}
    for rule in route["spec"]["rules"]:
        (match,), (backend,) = rule["matches"], rule["backendRefs"]
        found[match["path"]["value"]] = (backend.get("namespace", ""), backend["name"])
    return found


PUBLIC = {
    "/api/v1/session": "identity",
    "/api/v1/playback": "edge",
    "/api/v1/qoe": "edge",
    "/api/v1/clips": "recorder",
    "/api/v1": "commerce",
    "/whep": "webrtc",
    "/whip": "webrtc",
    "/": "edge",
}


def test_a_host_of_its_own_serves_all_that_the_page_asks_for() -> None:
    made = {(item["kind"], item["metadata"]["name"]): item
            for item in plan(make(delivery={"hostname": "live.aarong.example"}), seen(), PLATFORM, NOW).applies}  # fmt: skip
    (rule,) = made[("Ingress", "aarong-channel")]["spec"]["rules"]
    found = {item["path"]: item["backend"]["service"]["name"] for item in rule["http"]["paths"]}
    assert found == {path: f"aarong-{service}" for path, service in PUBLIC.items()}
    for service in PUBLIC.values():
        assert made[("Service", f"aarong-{service}")]["spec"]["externalName"] == f"{service}.haat-system.svc"


@pytest.mark.parametrize(
    ("hostname", "expected"),
    [("live.aarong.example", PUBLIC), ("", {"/c/aarong": "edge"})],
    ids=["its own host", "the page alone"],
)
def test_what_a_gateway_serves(hostname: str, expected: dict) -> None:
    channel = make(delivery={"hostname": hostname, "gatewayRef": {"name": "public"}})
    (route,) = [
        item for item in plan(channel, seen(capabilities=SERVED), PLATFORM, NOW).applies if item["kind"] == "HTTPRoute"
    ]
    assert paths(route) == {path: ("haat-system", service) for path, service in expected.items()}


class TestDelivery:
    @pytest.mark.parametrize(
        ("probes", "expected", "weights"),
        [
            ({}, ("Unknown", "NotProbed"), [80, 0]),
            ({"fast": True, "spare": True}, ("True", "ProvidersHealthy"), [80, 0]),
            ({"fast": False, "spare": True}, ("False", "ProviderUnhealthy"), [0, 20]),
            ({"fast": False, "spare": False}, ("False", "ProviderUnhealthy"), [80, 0]),
        ],
        ids=["not probed", "well", "fail-over", "all ill"],
    )
    def test_health_and_weights(self, probes: dict, expected: tuple, weights: list) -> None:
        world = {"cdn_probes": {name: CdnProbe(well, NOW) for name, well in probes.items()}}
        result = settled(make(delivery=TWO), **world)
        assert conditions(result)["CDNHealthy"] == expected
        assert [item["effectiveWeight"] for item in result.status["cdns"]] == weights
        assert [item["weight"] for item in entry(result)["delivery"]["cdns"]] == weights

    def test_a_probe_that_says_the_same_again_writes_nothing(self) -> None:
        first = settled(make(delivery=TWO), cdn_probes={"fast": CdnProbe(True, NOW)})
        again = plan(
            status_of(make(delivery=TWO), first), seen(cdn_probes={"fast": CdnProbe(True, NOW + 10)}), WIDE, NOW + 10
        )
        assert again.status["cdns"] == first.status["cdns"]

    @pytest.mark.parametrize("text", ["", "[]", '{"healthy": 1, "ts_ms": 1800000000000}', '{"healthy": true}'])
    def test_a_probe_that_cannot_be_read_is_none(self, text: str) -> None:
        assert cdn_probes({"fast": text}, NOW) == {}


def test_only_what_a_status_would_show_wakes_a_channel() -> None:
    signals, channels = Signals(), [make(delivery=TWO), linear(), make("plain")]

    def sweep(at: float, healthy: bool = True, slot: str = "film") -> list[str]:
        signals.cdn_health = {"fast": json.dumps({"healthy": healthy, "ts_ms": at * 1000})}
        beat = {"slot": slot, "source": "x", "since_ms": 1, "ts_ms": at * 1000}
        signals.heartbeats = {"playout/shop/tele/p": json.dumps(beat)}
        return signals.changed_channels(channels, at)

    assert sweep(NOW) == ["shop/aarong", "shop/tele"]
    assert sweep(NOW + 10) == []
    assert sweep(NOW + 20, healthy=False) == ["shop/aarong"]
    assert sweep(NOW + 30, healthy=False, slot="show") == ["shop/tele"]
    signals.cdn_health, signals.heartbeats = {}, {}
    assert signals.changed_channels(channels, NOW + 40) == ["shop/aarong", "shop/tele"]
