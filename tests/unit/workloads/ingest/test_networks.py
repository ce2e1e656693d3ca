"""Who may publish from where."""

import json

import pytest

from workloads.common.publication.routes import parse_route


@pytest.mark.parametrize(
    ("networks", "peer", "admitted"),
    [
        ([], "203.0.113.9", True),
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "203.0.113.9", False),
        (["10.0.0.0/8", "2001:db8::/32"], "2001:db8::1", True),
        (["10.0.0.0/8"], "", False),
    ],
)
def test_a_route_admits_its_networks_only(networks: list[str], peer: str, admitted: bool) -> None:
    route = parse_route(json.dumps({"stream": "shop/s", "target": "http://10.0.0.1:8080", "allowed_cidrs": networks}))
    assert route is not None
    assert route.admits(peer) is admitted
