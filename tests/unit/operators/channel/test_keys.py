"""Stream keys and playback keys over time."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.api.channel import KeyRotation
from operators.channel.jwk import generate
from operators.channel.keys import (
    OVERLAP_SECONDS,
    KeyState,
    StoredKey,
    digest,
    jwks,
    next_playback_keys,
    next_state,
    stored_key,
)
from tests.unit.operators.channel.making import NOW, secret

OLD, NEW = StoredKey("old", NOW - 86_400), StoredKey("new", NOW - 60)


def step(
    main: StoredKey | None, upcoming: StoredKey | None = None, *, policy: str = "OnDemand", **given_: object
) -> KeyState:
    base = {"rotated_at": NOW - 86_400, "rotate_seen": "", "asked": "", "fresh": "fresh", "now": NOW}
    rotation = KeyRotation.model_validate({"policy": policy, "interval": given_.pop("interval", "720h")})
    return next_state(rotation, main, upcoming, **(base | given_))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("main", "upcoming", "given_", "keys", "event"),
    [
        pytest.param(None, None, {"asked": "1"}, ("fresh", None), "KeyCreated", id="first"),
        pytest.param(OLD, None, {}, ("old", None), "", id="kept"),
        pytest.param(OLD, None, {"asked": "1"}, ("old", "fresh"), "KeyRotationStarted", id="asked for"),
        pytest.param(OLD, None, {"asked": "1", "rotate_seen": "1"}, ("old", None), "", id="asked for and done"),
        pytest.param(OLD, None, {"asked": "1", "policy": "Never"}, ("old", None), "", id="never"),
        pytest.param(OLD, None, {"policy": "Interval", "interval": "25h"}, ("old", None), "", id="not yet due"),
        pytest.param(OLD, None, {"policy": "Interval", "interval": "24h"}, ("old", "fresh"), "KeyRotationStarted",
                     id="due"),
        pytest.param(OLD, NEW, {}, ("old", "new"), "", id="both for a while"),
        pytest.param(OLD, StoredKey("new", NOW - 600), {}, ("new", None), "KeyRotated", id="the new one is in force"),
        pytest.param(StoredKey("new", NOW - 1), StoredKey("new", NOW - 700), {}, ("new", None), "",
                     id="a crash before the second Secret was deleted revokes nothing"),
        pytest.param(None, NEW, {}, ("new", None), "KeyCreated", id="deleted while rotating: the next one at once"),
    ],
)  # fmt: skip
def test_steps(main: StoredKey | None, upcoming: StoredKey | None, given_: dict, keys: tuple, event: str) -> None:
    state = step(main, upcoming, **given_)
    assert (state.main.value, state.upcoming.value if state.upcoming else None) == keys
    assert state.event == event


def test_the_key_that_was_replaced_is_known_by_its_digest_only() -> None:
    assert step(OLD, StoredKey("new", NOW - 600)).main.revoked == digest("old")


def test_a_new_channel_takes_a_standing_request_as_done() -> None:
    made = step(None, asked="monday")
    assert step(made.main, asked="monday", rotate_seen=made.rotate_seen).event == ""


@given(
    st.lists(st.tuples(st.integers(1, 900), st.sampled_from(["", "a", "b"]), st.booleans()), max_size=40),
    st.sampled_from(["Never", "OnDemand", "Interval"]),
)
def test_a_key_that_worked_works_ten_minutes_after_its_successor_was_made(
    moves: list[tuple[int, str, bool]], policy: str
) -> None:
    """Whatever is asked for and whenever a reconcile crashes between its two writes."""
    fresh, now = (f"key-{number}" for number in itertools.count()), NOW
    state = step(None, policy=policy, fresh=next(fresh), now=now)
    made_at = {state.main.value: now}
    for wait, asked, crash in moves:
        now += wait
        before = state
        state = step(
            before.main, before.upcoming, policy=policy, interval="20m", rotated_at=before.rotated_at,
            rotate_seen=before.rotate_seen, asked=asked, fresh=next(fresh), now=now,
        )  # fmt: skip
        if crash and state.event == "KeyRotated":
            state = step(state.main, before.upcoming, policy=policy, rotated_at=before.rotated_at, now=now)
            assert state.upcoming is None
        accepted = {key.value for key in (state.main, state.upcoming) if key}
        for key in accepted:
            made_at.setdefault(key, now)
        if before.main.value not in accepted:
            assert now - made_at[state.main.value] >= OVERLAP_SECONDS


@pytest.mark.parametrize(
    "data",
    [{}, {"stream-key": ""}, {"stream-key": "%%%"}, {"stream-key": "/w=="}, {"other": "aGk="}],
    ids=["empty", "no text", "not base64", "not utf-8", "another key"],
)
def test_a_secret_that_cannot_be_read_holds_no_key(data: dict) -> None:
    assert stored_key(secret("x", "k") | {"data": data}) is None


def test_playback_keys_rotate_and_the_last_one_stays_valid() -> None:
    first = next_playback_keys((), rotation_seconds=3600, fresh=[generate(), generate()], now=NOW)
    assert len({key["kid"] for key in first}) == 2
    assert next_playback_keys(first, rotation_seconds=3600, fresh=[generate(), generate()], now=NOW + 3599) == first
    later = next_playback_keys(first, rotation_seconds=3600, fresh=[generate(), generate()], now=NOW + 3600)
    assert later[1] == first[0]
    assert later[0]["kid"] not in {key["kid"] for key in first}


def test_the_public_set_has_no_private_half_and_verifies_what_the_newest_key_signs() -> None:
    import jwt

    keys = next_playback_keys((), rotation_seconds=3600, fresh=[generate(), generate()], now=NOW)
    signer = jwt.PyJWK(keys[0])
    token = jwt.encode({"sub": "viewer"}, signer, algorithm="EdDSA", headers={"kid": keys[0]["kid"]})
    published = jwks(keys)
    assert all("d" not in key for key in published["keys"])
    found = jwt.PyJWKSet.from_dict(published)[keys[0]["kid"]]
    assert jwt.decode(token, found, algorithms=["EdDSA"])["sub"] == "viewer"
