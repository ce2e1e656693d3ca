"""Ed25519 keys as JSON Web Keys (RFC 7517, RFC 8037): the pairs that sign and verify playback tokens.

The private half (`d`) lies in the channel's Secret only; everything that leaves it goes through `public`.
"""

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Jwk = dict[str, Any]
_PUBLIC = ("kty", "crv", "x", "kid", "use", "alg")


def generate() -> Jwk:
    """A fresh pair; `kid` is its RFC 7638 thumbprint."""
    key = Ed25519PrivateKey.generate()
    members = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(key.public_key().public_bytes_raw())}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    kid = _base64url(hashlib.sha256(canonical.encode()).digest())
    return members | {"d": _base64url(key.private_bytes_raw()), "kid": kid, "use": "sig", "alg": "EdDSA"}


def public(key: Jwk) -> Jwk:
    """The half that everybody may see."""
    return {name: key[name] for name in _PUBLIC if name in key}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
