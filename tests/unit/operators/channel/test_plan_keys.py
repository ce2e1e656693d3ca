"""Keys of a Channel from reconcile to reconcile: rotation, the owner's own Secret, playback keys."""

import json

import pytest

from operators.channel.keys import digest
from operators.channel.plan import plan
from tests.unit.operators.builders import PLATFORM
from tests.unit.operators.channel.making import (
    NOW,
    after,
    conditions,
    document,
    entry,
    make,
    secret,
    seen,
    status_of,
    wanted,
)


def test_a_rotation_from_request_to_end() -> None:
    channel = make(annotations={"haat.dev/rotate-key": "monday"}, status={"ingest": {"rotateSeen": "sunday"}})
    main = secret("aarong-channel-key", "old", created="2027-01-01T00:00:00Z")
    started = plan(channel, seen(children={("Secret", "aarong-channel-key"): main}), PLATFORM, NOW)
    assert ("Secret", "aarong-channel-key-next") in wanted(started)
    assert started.status["ingest"]["nextKeySecret"] == "aarong-channel-key-next"
    assert started.status["ingest"]["rotateSeen"] == "monday"
    assert started.requeue_after is not None
    assert "KeyRotationStarted" in {event.reason for event in started.events}

    later = status_of(channel, started)
    done = plan(later, seen(children=after(started)), PLATFORM, NOW + 601)
    assert ("Secret", "aarong-channel-key-next") not in wanted(done)
    assert ("Secret", "aarong-channel-key-next") in {(ref.kind, ref.name) for ref in done.deletes}
    assert ("haat:ingest", digest("old"), None) in {(p.key, p.field, p.value) for p in done.publications}
    assert done.status["ingest"]["keyRotatedAt"] == "2027-01-15T08:10:01Z"
    calm = plan(status_of(later, done), seen(children=after(done)), PLATFORM, NOW + 602)
    assert not calm.deletes


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ("False", "KeySecretNotFound")),
        (secret("mine", "k") | {"data": {}}, ("False", "KeyMissing")),
        (secret("mine", "k"), ("True", "Stored")),
    ],
    ids=["missing", "without the key", "there"],
)
def test_the_owners_own_secret(given: dict | None, expected: tuple) -> None:
    channel = make(ingest={"keySecretRef": {"name": "mine"}})
    result = plan(channel, seen(given_secret=given), PLATFORM, NOW)
    assert "Secret" not in {kind for kind, _ in wanted(result)}
    assert conditions(result)["KeysReady"] == expected
    assert result.status["ingest"]["keySecret"] == "mine"


def test_giving_an_own_secret_removes_ours() -> None:
    ours = after(plan(make(), seen(), PLATFORM, NOW))
    channel = make(ingest={"keySecretRef": {"name": "mine"}})
    result = plan(channel, seen(children=ours, given_secret=secret("mine", "k")), PLATFORM, NOW)
    assert [(ref.kind, ref.name) for ref in result.deletes] == [("Secret", "aarong-channel-key")]


def test_playback_keys_come_and_go_with_tokens() -> None:
    first = plan(make(playback={"token": {"mode": "Signed"}}), seen(), PLATFORM, NOW)
    assert ("Secret", "aarong-playback-keys") in wanted(first)
    body = document(first, "aarong-channel", "channel.json")
    assert [key["kid"] for key in body["playback"]["jwks"]["keys"]] == ["one", "two"]
    assert '"d"' not in json.dumps(body) + json.dumps(entry(first))
    without = plan(make(), seen(children=after(first)), PLATFORM, NOW)
    assert [(ref.kind, ref.name) for ref in without.deletes] == [("Secret", "aarong-playback-keys")]


def test_another_key_in_the_owners_secret_shows_in_the_status_so_that_streams_look() -> None:
    channel = make(ingest={"keySecretRef": {"name": "mine"}})

    def version(given: dict | None) -> str:
        return str(plan(channel, seen(given_secret=given), PLATFORM, NOW).status["ingest"].get("keyVersion", ""))

    one = secret("mine", "k")
    one["metadata"] = one["metadata"] | {"resourceVersion": "7"}
    two = one | {"metadata": one["metadata"] | {"resourceVersion": "9"}}
    assert (version(None), version(one), version(two)) == ("", "7", "9")
