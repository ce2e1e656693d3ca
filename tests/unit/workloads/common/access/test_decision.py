"""Who may watch: every rule of a channel, one at a time and against its control."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.common.access.decision import Facts, decide, origin_allowed
from workloads.common.access.rules import OPEN, Rules, parse_rules
from workloads.common.access.tokens import PlaybackClaims, PlaybackTokenError, address_claim, user_agent_claim
from workloads.common.access.viewer import Viewer
from workloads.common.problem import Problem

STREAM, NOW = "shop/launch", 1000.0
VIEWER = Viewer(address="203.0.113.7", user_agent="player/1")
CLAIMS = PlaybackClaims(sub="u1", stream=STREAM, jti="j1", issued_at=900, expires_at=1100)
SIGNED = Rules(slug="aarong", token_mode="Signed")
BOUND = Rules(slug="aarong", token_mode="SignedBound", bind_to=frozenset(("IP", "UserAgent")))
MINE = replace(CLAIMS, ip=address_claim(VIEWER.address), ua=user_agent_claim(VIEWER.user_agent))


def outcome(rules: Rules, facts: Facts, viewer: Viewer = VIEWER, now: float = NOW) -> str:
    try:
        decide(rules, STREAM, viewer, facts, now)
    except Problem as problem:
        return f"{problem.status} {problem.code}"
    return "ok"


@pytest.mark.parametrize(
    ("rules", "facts", "expected"),
    [
        (OPEN, Facts(), "ok"),
        (Rules(suspended=True), Facts(), "403 channel_suspended"),
        (Rules(suspended=True), Facts(is_host=True), "403 channel_suspended"),
        (Rules(closed=True), Facts(claims=CLAIMS), "503 policy_unknown"),
        (SIGNED, Facts(), "403 playback_token_missing"),
        (SIGNED, Facts(claims=CLAIMS), "ok"),
        (SIGNED, Facts(is_host=True), "ok"),
        (SIGNED, Facts(claims=replace(CLAIMS, stream="*")), "ok"),
        (SIGNED, Facts(claims=replace(CLAIMS, stream="shop/other")), "403 playback_token_other_stream"),
        (SIGNED, Facts(claims=replace(CLAIMS, expires_at=990)), "403 playback_token_expired"),
        (SIGNED, Facts(claims=replace(CLAIMS, issued_at=1061)), "403 playback_token_invalid"),
        (SIGNED, Facts(claims=CLAIMS, revoked=True), "403 playback_token_revoked"),
        (SIGNED, Facts(token_error=PlaybackTokenError("playback_token_invalid", "no")), "403 playback_token_invalid"),
        (SIGNED, Facts(claims=replace(CLAIMS, ip="198.51.100.1")), "403 playback_token_bound"),
        (BOUND, Facts(claims=MINE), "ok"),
        (BOUND, Facts(claims=CLAIMS), "403 playback_token_bound"),
        (BOUND, Facts(claims=replace(MINE, ua="")), "403 playback_token_bound"),
        (
            replace(BOUND, bind_to=frozenset(("Session",))),
            Facts(claims=replace(CLAIMS, jti="")),
            "403 playback_token_bound",
        ),
        (Rules(countries=frozenset(("BD",))), Facts(country="BD"), "451 country_blocked"),
        (Rules(countries=frozenset(("BD",))), Facts(country="IN"), "ok"),
        (Rules(countries=frozenset(("BD",))), Facts(), "ok"),
        (Rules(countries=frozenset(("BD",)), geo_allow=True), Facts(country="BD"), "ok"),
        (Rules(countries=frozenset(("BD",)), geo_allow=True), Facts(country="IN"), "451 country_blocked"),
        (Rules(countries=frozenset(("BD",)), geo_allow=True), Facts(), "451 country_blocked"),
        (Rules(countries=frozenset(("BD",))), Facts(country="BD", is_host=True), "ok"),
    ],
)
def test_rules(rules: Rules, facts: Facts, expected: str) -> None:
    assert outcome(rules, facts) == expected


def test_a_host_sees_what_a_country_sees_and_nobody_else_can_choose_one() -> None:
    rules, preview = Rules(countries=frozenset(("BD",))), replace(VIEWER, as_country="BD")
    assert outcome(rules, Facts(is_host=True), preview) == "451 country_blocked"
    assert outcome(rules, Facts(is_host=True), replace(preview, as_country="IN")) == "ok"
    assert outcome(rules, Facts(country="BD"), replace(preview, as_country="IN")) == "451 country_blocked"


@pytest.mark.parametrize(
    ("allowed", "viewer", "expected"),
    [
        ([], {"origin": "https://evil.example"}, True),
        (["https://shop.example"], {"origin": "https://shop.example"}, True),
        (["https://shop.example"], {"origin": "http://shop.example"}, False),
        (["https://shop.example"], {"origin": "https://shop.example.evil.example"}, False),
        (["https://shop.example"], {"origin": "https://evilshop.example"}, False),
        (["shop.example"], {"origin": "http://shop.example"}, True),
        (["https://*.shop.example"], {"origin": "https://a.shop.example"}, True),
        (["https://*.shop.example"], {"origin": "https://shop.example"}, False),
        (["https://shop.example"], {"referer": "https://shop.example/page?x=1"}, True),
        (["https://shop.example"], {"referer": "https://evil.example/?https://shop.example"}, False),
        (["https://shop.example"], {"origin": "null", "referer": "https://shop.example/"}, True),
        (["https://shop.example"], {"origin": "null"}, False),
        (["https://shop.example"], {"origin": "https://live.example", "host": "live.example"}, True),
        (["https://shop.example"], {"origin": "http://[", "host": "live.example"}, False),
        (["https://shop.example"], {}, True),
    ],
)
def test_pages(allowed: list[str], viewer: dict[str, str], expected: bool) -> None:
    assert origin_allowed(Rules(allowed_origins=frozenset(allowed)), Viewer("203.0.113.7", **viewer)) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "raw",
    ["", "[]", "null", "5", '{"token": 5}', '{"token": {"mode": "Maybe"}}', '{"visibility": "Private"}',
     '{"token": {"mode": "Signed", "ttl_seconds": "x"}}'],
)  # fmt: skip
def test_an_entry_that_cannot_be_read_closes_the_channel(raw: str) -> None:
    rules = parse_rules(raw)
    assert outcome(rules, Facts(claims=CLAIMS)) == "503 policy_unknown"


def test_an_entry_of_the_operators_is_read() -> None:
    entry: dict[str, Any] = {
        "channel": "shop/aarong", "visibility": "Private", "token": {"mode": "SignedBound", "bind_to": ["IP"]},
        "jwks": {"keys": [{"kty": "RSA", "kid": "x"}, {"kty": "OKP", "crv": "Ed25519", "kid": "y", "x": "!"}]},
        "geo": {"mode": "Allow", "countries": ["BD"]}, "allowed_origins": ["https://Shop.example/"], "max_viewers": 5,
    }  # fmt: skip
    rules = parse_rules(json.dumps(entry))
    assert (rules.token_mode, rules.bind_to, rules.geo_allow, rules.max_viewers) == ("SignedBound", {"IP"}, True, 5)
    assert (rules.allowed_origins, rules.keys, rules.restricted) == ({"https://shop.example"}, {}, True)


@given(st.text(max_size=300))
def test_no_text_opens_a_channel_by_mistake(raw: str) -> None:
    rules = parse_rules(raw)
    assert rules.closed or isinstance(json.loads(raw), dict)
