"""A channel's playback keys for tests: `keys.json` of its Secret, and the public set of its entry."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from workloads.common.access.tokens import mint


class Keys:
    """One key pair."""

    def __init__(self) -> None:
        key, raw = Ed25519PrivateKey.generate(), serialization.Encoding.Raw
        public = key.public_key().public_bytes(raw, serialization.PublicFormat.Raw)
        seed = key.private_bytes(raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
        self.public: dict[str, Any] = {"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": _text(public)}
        self._private = json.dumps({"keys": [self.public | {"d": _text(seed)}]})

    def rules(self, **more: Any) -> dict[str, Any]:
        """The members of a channel's entry that ask for its tokens."""
        return {"token": {"mode": "Signed", "ttl_seconds": 300, "bind_to": []}, "jwks": {"keys": [self.public]}} | more

    def token(self, stream: str, **more: Any) -> str:
        """A token for the stream."""
        return mint(self._private, stream=stream, **({"sub": "u1", "ttl_seconds": 60} | more))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
