"""The platform's signing key: made once for a checkout, kept in a file that only its owner can read."""

import json
from pathlib import Path
from typing import TypedDict

from workloads.common.tokens import Role, Signer, new_private_key


class AuthValues(TypedDict):
    """Values `auth` of the chart."""

    privateKey: str
    jwks: str


def auth_values(file: Path) -> AuthValues:
    """The stored key pair, or a fresh one that is stored now."""
    if not file.exists():
        private_key = new_private_key()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        values: AuthValues = {"privateKey": private_key, "jwks": Signer(private_key).jwks()}
        file.write_text(json.dumps(values))
    stored: AuthValues = json.loads(file.read_text())
    return stored


def token(file: Path, *, name: str, role: Role, streams: list[str], hours: float) -> str:
    """A token signed with the stored key."""
    signer = Signer(auth_values(file)["privateKey"])
    return signer.issue(sub=f"cli-{role}", name=name, role=role, streams=streams, ttl_seconds=hours * 3600)
