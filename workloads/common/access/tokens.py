"""Playback tokens: JSON Web Tokens (RFC 7519) signed with a channel's Ed25519 key.

Claims: `iss` = haat-playback, `sub` (account), `stream` (stream id, `*` for all of the channel), `jti`, `iat`, `exp`,
and of bound tokens `ip` and `ua`. The issuer differs from that of the platform's own tokens, so that neither passes for
the other; the algorithm is fixed and never taken from the token.
"""

import base64
import hashlib
import ipaddress
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

ISSUER = "haat-playback"
ALGORITHM = "EdDSA"
ALL_STREAMS = "*"
LEEWAY_SECONDS = 2.0
MAX_TOKEN_BYTES = 2048


class PlaybackTokenError(ValueError):
    """The token is no good; `code` is stable, the message is fit for the caller."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class PlaybackClaims:
    """A verified token: account, stream, and what it is bound to (empty: nothing). Times in epoch seconds."""

    sub: str
    stream: str
    jti: str
    issued_at: float
    expires_at: float
    ip: str = ""
    ua: str = ""

    def covers(self, stream: str) -> bool:
        """Whether the token is for this stream."""
        return self.stream in (ALL_STREAMS, stream)


def mint(
    private_jwks: str,
    *,
    stream: str,
    sub: str,
    ttl_seconds: float,
    address: str = "",
    user_agent: str | None = None,
    now: float | None = None,
) -> str:
    """A token signed with the first key of `keys.json` (Secret `<channel>-playback-keys`).

    `address` and `user_agent` bind it to a viewer. PlaybackTokenError when the document holds no usable key.
    """
    try:
        key = json.loads(private_jwks)["keys"][0]
        signing = jwt.PyJWK(
            {name: key[name] for name in ("kty", "crv", "x", "d") if name in key} | {"kty": "OKP", "crv": "Ed25519"},
            algorithm=ALGORITHM,
        )
        kid = str(key["kid"])
    except (ValueError, KeyError, IndexError, TypeError, jwt.PyJWTError) as error:
        raise PlaybackTokenError("playback_keys", f"keys.json holds no usable signing key: {error!r}") from error
    issued = time.time() if now is None else now
    body: dict[str, Any] = {
        "iss": ISSUER,
        "sub": sub,
        "stream": stream,
        "jti": uuid.uuid4().hex,
        "iat": int(issued),
        "exp": int(issued + ttl_seconds),
    }
    if address:
        body["ip"] = address_claim(address)
    if user_agent is not None:
        body["ua"] = user_agent_claim(user_agent)
    return jwt.encode(body, signing.key, algorithm=ALGORITHM, headers={"kid": kid})


def verify(token: str, keys: Mapping[str, jwt.PyJWK]) -> PlaybackClaims:
    """Claims of a token whose signature and form are right. PlaybackTokenError otherwise.

    Its time is not looked at: claims are remembered, and time goes on (see `check_time`).
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise PlaybackTokenError("playback_token_invalid", "The playback token is too long.")
    try:
        key = keys[jwt.get_unverified_header(token).get("kid", "")]
        body = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            options={"require": ["exp", "iat", "iss", "sub", "stream"], "verify_exp": False, "verify_iat": False},
        )
        return PlaybackClaims(
            sub=str(body["sub"]),
            stream=str(body["stream"]),
            jti=str(body.get("jti", "")),
            issued_at=float(body["iat"]),
            expires_at=float(body["exp"]),
            ip=str(body.get("ip", "")),
            ua=str(body.get("ua", "")),
        )
    except KeyError as error:
        raise PlaybackTokenError(
            "playback_token_invalid", "The token is signed with no key of this channel."
        ) from error
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise PlaybackTokenError("playback_token_invalid", f"The playback token is not valid: {error}.") from error


def check_time(claims: PlaybackClaims, now: float) -> None:
    """PlaybackTokenError when the token is not valid at epoch second `now`."""
    if now >= claims.expires_at + LEEWAY_SECONDS:
        raise PlaybackTokenError("playback_token_expired", "The playback token has expired.")
    if now < claims.issued_at - 60:
        raise PlaybackTokenError("playback_token_invalid", "The playback token is not valid yet.")


def address_claim(address: str) -> str:
    """What stands for an address: itself, of IPv6 its network of 64 bits, within which hosts change theirs."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)


def user_agent_claim(user_agent: str) -> str:
    """What stands for a user agent: the first 128 bits of its SHA-256."""
    digest = hashlib.sha256(user_agent.encode("utf-8", "replace")).digest()[:16]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def unverified_issuer(token: str) -> str:
    """Who a token says has issued it, to tell playback tokens from the platform's; empty when it says nothing."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return str(claims.get("iss", ""))
    except (IndexError, ValueError, AttributeError, RecursionError):
        return ""
