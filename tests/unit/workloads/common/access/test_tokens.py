"""Playback tokens: what is signed is read, and nothing else is."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from workloads.common.access.rules import parse_keys
from workloads.common.access.tokens import (
    PlaybackTokenError,
    address_claim,
    check_time,
    mint,
    unverified_issuer,
    verify,
)
from workloads.common.tokens import Signer, new_private_key


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def key_pair(kid: str = "k1") -> tuple[str, dict[str, Any]]:
    """`keys.json` as the Secret holds it, and the public set as the channel's entry does."""
    key = Ed25519PrivateKey.generate()
    raw = serialization.Encoding.Raw
    public = {
        "kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "alg": "EdDSA",
        "x": text(key.public_key().public_bytes(raw, serialization.PublicFormat.Raw)),
    }  # fmt: skip
    seed = key.private_bytes(raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    private = public | {"d": text(seed), "created_at": 1}
    return json.dumps({"keys": [private]}), {"keys": [public]}


PRIVATE, PUBLIC = key_pair()


def test_a_minted_token_is_read() -> None:
    token = mint(
        PRIVATE, stream="shop/launch", sub="u1", ttl_seconds=60, address="203.0.113.7", user_agent="p", now=100
    )
    claims = verify(token, parse_keys(PUBLIC))
    assert (claims.sub, claims.stream, claims.issued_at, claims.expires_at) == ("u1", "shop/launch", 100, 160)
    assert (claims.ip, bool(claims.ua), len(claims.jti)) == ("203.0.113.7", True, 32)
    assert unverified_issuer(token) == "haat-playback"
    check_time(claims, 161)
    with pytest.raises(PlaybackTokenError):
        check_time(claims, 163)


def test_tokens_of_others_are_not() -> None:
    keys = parse_keys(PUBLIC)
    other, _ = key_pair()
    stranger = key_pair("k2")[0]
    platform = Signer(new_private_key()).issue(sub="u", name="", role="host", streams=["*"], ttl_seconds=60)
    good = mint(PRIVATE, stream="a/b", sub="u", ttl_seconds=60)
    head, body, signature = good.split(".")
    none = text(json.dumps({"alg": "none", "kid": "k1"}).encode())
    secret = PUBLIC["keys"][0]["x"]
    confused = jwt.encode(
        {"iss": "haat-playback", "sub": "u", "stream": "a/b", "iat": 1, "exp": 9e9}, secret * 2, "HS256", {"kid": "k1"}
    )
    for token in (
        mint(other, stream="a/b", sub="u", ttl_seconds=60),
        mint(stranger, stream="a/b", sub="u", ttl_seconds=60),
        platform, confused, f"{none}.{body}.", f"{head}.{body}.{signature[:-4]}AAAA", f"{head}.{body}", "", "x" * 5000,
    ):  # fmt: skip
        with pytest.raises(PlaybackTokenError):
            verify(token, keys)
    assert verify(good, keys).stream == "a/b"


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"keys": []}', '{"keys": [{"kid": "a"}]}', '{"keys": [5]}'])
def test_a_document_without_a_key_is_an_error(document: str) -> None:
    with pytest.raises(PlaybackTokenError) as caught:
        mint(document, stream="a/b", sub="u", ttl_seconds=60)
    assert caught.value.code == "playback_keys"


@given(st.text(max_size=200))
def test_any_text_is_refused(token: str) -> None:
    with pytest.raises(PlaybackTokenError):
        verify(token, parse_keys(PUBLIC))
    assert isinstance(unverified_issuer(token), str)


def test_addresses_that_change_within_a_network_stay_the_same() -> None:
    assert address_claim("2001:db8::1") == address_claim("2001:db8::ffff") != address_claim("2001:db8:0:1::1")
    assert address_claim("::ffff:203.0.113.7") == "203.0.113.7" == address_claim("203.0.113.7")
    assert address_claim("no address") == "no address"
