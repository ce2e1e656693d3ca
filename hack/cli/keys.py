"""The platform's signing key: made once for a checkout, kept in a file that only its owner can read."""

import json
from pathlib import Path
from typing import TypedDict

from workloads.common import sealed
from workloads.common.tokens import Role, Signer, new_private_key


class AuthValues(TypedDict):
    """Values `auth` of the chart."""

    privateKey: str
    jwks: str
    sealKey: str


def auth_values(file: Path) -> AuthValues:
    """The stored keys; what is missing is made and stored now."""
    stored: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    if not {"privateKey", "jwks", "sealKey"} <= stored.keys():
        if "privateKey" not in stored:
            private_key = new_private_key()
            stored |= {"privateKey": private_key, "jwks": Signer(private_key).jwks()}
        stored.setdefault("sealKey", sealed.new_key())
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(json.dumps(stored))
    return AuthValues(privateKey=stored["privateKey"], jwks=stored["jwks"], sealKey=stored["sealKey"])


def token(file: Path, *, name: str, role: Role, streams: list[str], hours: float) -> str:
    """A token signed with the stored key."""
    signer = Signer(auth_values(file)["privateKey"])
    return signer.issue(sub=f"cli-{role}", name=name, role=role, streams=streams, ttl_seconds=hours * 3600)
