"""Keys that do not lead to a stream any more lose their route, even when an operator was away in between."""

import base64

import pytest

from operators.core.plan import Manifest, Plan
from operators.livestream.children.secret import MOST_REVOKED, REVOKED_ANNOTATION, digest, revoked_digests
from operators.livestream.observe import StreamKeys
from operators.livestream.plan import plan
from tests.unit.operators.builders import NOW, PLATFORM, applied, observed, stream

SECRET = ("Secret", "launch-stream-key")


def withdrawn(result: Plan) -> set[str]:
    return {item.field for item in result.publications if item.key == "haat:ingest" and item.value is None}


def routed(result: Plan) -> set[str]:
    return {item.field for item in result.publications if item.key == "haat:ingest" and item.value is not None}


def world(keys: tuple[str, ...], children: dict[tuple[str, str], Manifest]) -> Plan:
    seen = observed(keys=StreamKeys("own", keys), children=children, holds_channel_key=True)
    return plan(stream(), seen, PLATFORM, NOW)


def test_a_channels_key_that_was_replaced_loses_its_route_and_keeps_having_lost_it() -> None:
    first = applied(world(("old",), {}))
    changed = world(("new",), first)
    assert withdrawn(changed) == {digest("old")}
    assert routed(changed) == {digest("own"), digest("new")}
    secret = next(item for item in changed.applies if item["kind"] == "Secret")
    assert secret["metadata"]["annotations"] == {REVOKED_ANNOTATION: digest("old")}
    assert "old" not in base64.b64decode(secret["data"]["accepted-keys"]).decode().split()
    again = world(("new",), applied(changed))
    assert withdrawn(again) == {digest("old")}, "Redis may have been away the first time"


def test_a_key_that_comes_back_is_not_withdrawn() -> None:
    there = applied(world(("new",), applied(world(("old",), {}))))
    assert withdrawn(world(("old",), there)) == {digest("new")}


def test_a_rotation_that_overlaps_withdraws_nothing() -> None:
    first = applied(world(("old",), {}))
    both = world(("old", "next"), first)
    assert withdrawn(both) == set()
    assert withdrawn(world(("next",), applied(both))) == {digest("old")}


def test_a_channel_that_vanished_ends_no_key() -> None:
    first = applied(world(("old",), {}))
    on_air = stream(status={"phase": "Live", "startedAt": "2027-01-15T07:30:00Z"})
    seen = observed(channel=None, keys=StreamKeys("own"), children=first)
    assert withdrawn(plan(on_air, seen, PLATFORM, NOW)) == set()


def test_deleting_a_stream_ends_the_keys_that_it_had_too() -> None:
    first = applied(world(("old",), {}))
    gone = stream(metadata={"deletionTimestamp": "2027-01-15T08:00:00Z"})
    seen = observed(keys=StreamKeys("own", ("new",)), children=first, holds_channel_key=True)
    assert withdrawn(plan(gone, seen, PLATFORM, NOW)) == {digest("own"), digest("new"), digest("old")}


@pytest.mark.parametrize(
    "live",
    [None, {}, {"metadata": {}, "data": {"accepted-keys": "%%%"}}, {"metadata": {}, "data": {"accepted-keys": "/w=="}}],
    ids=["none", "empty", "no base64", "no text"],
)
def test_a_secret_that_cannot_be_read_ends_nothing(live: Manifest | None) -> None:
    assert revoked_digests(live, StreamKeys("own")) == ()


def test_the_list_of_ended_keys_is_bounded_and_keeps_the_latest() -> None:
    many = ",".join(digest(str(number)) for number in range(20))
    live = {"metadata": {"annotations": {REVOKED_ANNOTATION: many}}, "data": {}}
    assert revoked_digests(live, StreamKeys("own")) == tuple(
        digest(str(number)) for number in range(20 - MOST_REVOKED, 20)
    )
