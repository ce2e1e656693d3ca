"""Tokens: what is accepted, and every way in which one is not."""

import json

import jwt
import pytest

from workloads.common.tokens import Claims, Signer, TokenError, Verifier, new_private_key

PEM = new_private_key()


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer(PEM)


@pytest.fixture(scope="module")
def verifier(signer: Signer) -> Verifier:
    return Verifier(signer.jwks())


def issue(signer: Signer, **changes: object) -> str:
    base = {"sub": "u1", "name": "Rina", "role": "viewer", "streams": ["shop/launch"], "ttl_seconds": 60}
    return signer.issue(**(base | changes))  # type: ignore[arg-type]


def test_a_token_says_who_it_is(signer: Signer, verifier: Verifier) -> None:
    claims = verifier.verify(issue(signer))
    assert (claims.sub, claims.name, claims.role) == ("u1", "Rina", "viewer")
    assert claims.may_act_in("shop/launch")
    assert not claims.may_act_in("shop/other")


@pytest.mark.parametrize(
    ("role", "streams", "staff", "host"),
    [
        ("viewer", ["*"], False, False),
        ("moderator", ["shop/launch"], True, False),
        ("host", ["shop/launch"], True, True),
        ("host", ["shop/other"], False, False),
        ("system", ["*"], True, True),
    ],
)
def test_rights_come_from_role_and_stream(
    signer: Signer, verifier: Verifier, role: str, streams: list[str], staff: bool, host: bool
) -> None:
    claims: Claims = verifier.verify(issue(signer, role=role, streams=streams))
    assert (claims.is_staff_of("shop/launch"), claims.is_host_of("shop/launch")) == (staff, host)


def forged(**changes: object) -> str:
    payload = {"iss": "haat", "sub": "u1", "role": "host", "streams": ["*"], "iat": 1, "exp": 9_999_999_999} | changes
    kid = json.loads(Signer(PEM).jwks())["keys"][0]["kid"]
    return jwt.encode(payload, "x" * 32, algorithm="HS256", headers={"kid": kid})


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda s: "", id="empty"),
        pytest.param(lambda s: "a.b.c", id="garbage"),
        pytest.param(lambda s: issue(s, ttl_seconds=-1), id="expired"),
        pytest.param(lambda s: issue(Signer(new_private_key())), id="another key"),
        pytest.param(lambda s: issue(s)[:-4] + "AAAA", id="changed signature"),
        pytest.param(lambda s: forged(), id="another algorithm under our key id"),
        pytest.param(lambda s: issue(s, role="king"), id="unknown role"),
    ],
)
def test_what_is_refused(signer: Signer, verifier: Verifier, make: object) -> None:
    with pytest.raises(TokenError):
        verifier.verify(make(signer))  # type: ignore[operator]


def test_no_key_set_is_an_error_at_start() -> None:
    with pytest.raises(TokenError, match="HAAT_AUTH_JWKS"):
        Verifier("")
