"""What holds the deletion of a Channel up, and what is left of it."""

from operators.channel.keys import digest
from operators.channel.plan import plan
from tests.unit.operators.builders import PLATFORM
from tests.unit.operators.channel.making import (
    LIVE,
    NOW,
    STANDBY,
    conditions,
    make,
    secret,
    seen,
)


def test_live_streams_hold_it() -> None:
    result = plan(make(deleting=True), seen(streams=(LIVE,)), PLATFORM, NOW)
    assert not result.release
    assert not result.publications
    assert conditions(result)["Ready"] == ("False", "StreamsActive")
    assert result.status["phase"] == "Terminating"


def test_streams_that_are_not_live_do_not() -> None:
    result = plan(make(deleting=True), seen(streams=(STANDBY,)), PLATFORM, NOW)
    assert result.release
    assert not result.deletes


def test_everything_is_withdrawn() -> None:
    live = {("Secret", "aarong-channel-key"): secret("aarong-channel-key", "k")}
    result = plan(make(deleting=True), seen(children=live), PLATFORM, NOW)
    gone = {(item.key, item.field) for item in result.publications if item.value is None}
    assert gone == {("haat:channels", "aarong"), ("haat:ingest", digest("k"))}


def test_an_owners_own_key_ends_with_the_channel() -> None:
    channel = make(deleting=True, ingest={"keySecretRef": {"name": "mine"}})
    result = plan(channel, seen(given_secret=secret("mine", "theirs")), PLATFORM, NOW)
    assert ("haat:ingest", digest("theirs")) in {(item.key, item.field) for item in result.publications}


def test_the_policy_may_end_them() -> None:
    gone = make(deleting=True, deletionPolicy="Delete")
    result = plan(gone, seen(streams=(LIVE,)), PLATFORM, NOW)
    assert [ref.name for ref in result.deletes] == ["launch"]
    assert not result.release
    assert plan(gone, seen(), PLATFORM, NOW).release
