"""Who is calling: JSON Web Tokens signed with Ed25519 (RFC 7519, RFC 8037).

Only identity holds the private key; every other service verifies against the published key set. The algorithm is fixed
here and never taken from the token, which closes the classical downgrade.
"""

import base64
import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Role = Literal["viewer", "moderator", "host", "system"]
ROLES: tuple[Role, ...] = ("viewer", "moderator", "host", "system")
ISSUER = "haat"
_ALGORITHM = "EdDSA"


class TokenError(Exception):
    """The token is missing, malformed, expired or signed by nobody we know; the message is fit for the caller."""


@dataclass(frozen=True, slots=True)
class Claims:
    """A verified caller."""

    sub: str
    name: str
    role: Role
    streams: frozenset[str]
    expires_at: float

    def may_act_in(self, stream: str) -> bool:
        """Whether the token covers this stream id."""
        return "*" in self.streams or stream in self.streams

    def is_staff_of(self, stream: str) -> bool:
        """Whether the caller may moderate this stream."""
        return self.role in ("moderator", "host", "system") and self.may_act_in(stream)

    def is_host_of(self, stream: str) -> bool:
        """Whether the caller may run this stream: see its key, start its sales."""
        return self.role in ("host", "system") and self.may_act_in(stream)


class Signer:
    """Issues tokens with one Ed25519 key."""

    def __init__(self, private_key_pem: str) -> None:
        key = serialization.load_pem_private_key(private_key_pem.encode(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TokenError("the signing key is not an Ed25519 key")
        self._key = key
        self._kid = thumbprint(key)

    def issue(self, *, sub: str, name: str, role: Role, streams: Iterable[str], ttl_seconds: float) -> str:
        """A signed token that is valid from now for `ttl_seconds`."""
        now = time.time()
        payload = {
            "iss": ISSUER,
            "sub": sub,
            "name": name,
            "role": role,
            "streams": sorted(streams),
            "iat": int(now),
            "exp": int(now + ttl_seconds),
        }
        return jwt.encode(payload, self._key, algorithm=_ALGORITHM, headers={"kid": self._kid})

    def jwks(self) -> str:
        """The public key set as JSON text."""
        return jwks(self._key)


class Verifier:
    """Checks tokens against a JSON Web Key Set."""

    def __init__(self, jwks_json: str) -> None:
        if not jwks_json:
            raise TokenError("HAAT_AUTH_JWKS is empty: no token can be verified")
        keys = jwt.PyJWKSet.from_json(jwks_json).keys
        self._keys = {key.key_id: key for key in keys}

    def verify(self, token: str) -> Claims:
        """Claims of a valid token; TokenError otherwise."""
        try:
            key = self._keys[jwt.get_unverified_header(token).get("kid", "")]
            body = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                issuer=ISSUER,
                options={"require": ["exp", "iat", "iss", "sub", "role"]},
            )
        except KeyError as error:
            raise TokenError("the token is signed with an unknown key") from error
        except jwt.PyJWTError as error:
            raise TokenError(f"the token is not valid: {error}") from error
        return _claims(body)


def _claims(body: dict[str, Any]) -> Claims:
    role, streams = body["role"], body.get("streams", [])
    if role not in ROLES or not isinstance(streams, list):
        raise TokenError("the token names no known role")
    return Claims(
        sub=str(body["sub"]),
        name=str(body.get("name", "")),
        role=cast(Role, role),
        streams=frozenset(str(item) for item in streams),
        expires_at=float(body["exp"]),
    )


def new_private_key() -> str:
    """A fresh Ed25519 private key as PEM text."""
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def jwks(key: Ed25519PrivateKey) -> str:
    """The JSON Web Key Set (RFC 7517, RFC 8037) with the public half of `key`."""
    return json.dumps({"keys": [_public_members(key) | {"kid": thumbprint(key), "use": "sig", "alg": _ALGORITHM}]})


def thumbprint(key: Ed25519PrivateKey) -> str:
    """The key's identifier: its RFC 7638 thumbprint."""
    canonical = json.dumps(_public_members(key), separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _public_members(key: Ed25519PrivateKey) -> dict[str, str]:
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(raw)}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
