"""What a channel's entry in `haat:channels` says of access, read once per change; free of IO.

The trap is the entry that cannot be read: it must close the channel, never open it. `parse_rules` does not raise; what
is missing takes the strictest meaning that it can have.
"""

import json
import logging
from dataclasses import dataclass, field
from typing import Any

import jwt

KEY = "haat:channels"
NO_TOKEN, SIGNED, SIGNED_BOUND = "None", "Signed", "SignedBound"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may watch a channel. `closed` refuses everybody; `keys` verify playback tokens by their key id."""

    channel: str = ""
    slug: str = ""
    suspended: bool = False
    closed: bool = False
    token_mode: str = NO_TOKEN
    bind_to: frozenset[str] = frozenset()
    ttl_seconds: float = 300.0
    keys: dict[str, jwt.PyJWK] = field(default_factory=dict, hash=False, compare=False)
    geo_allow: bool = False
    countries: frozenset[str] = frozenset()
    allowed_origins: frozenset[str] = frozenset()
    max_viewers: int = 0
    drm_systems: tuple[str, ...] = ()
    delivery: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def needs_token(self) -> bool:
        """Whether a playback token is asked for."""
        return self.token_mode != NO_TOKEN

    @property
    def restricted(self) -> bool:
        """Whether answers depend on the viewer, so that no shared cache may keep them."""
        return self.needs_token or bool(self.countries) or bool(self.allowed_origins)


OPEN = Rules()
"""The rules of a stream that belongs to no channel."""


def parse_rules(raw: str) -> Rules:
    """The rules in an entry's JSON; closed when it cannot be understood."""
    try:
        entry = json.loads(raw)
        playback_token = entry.get("token") or {}
        geo = entry.get("geo") or {}
        mode = str(playback_token.get("mode", NO_TOKEN))
        return Rules(
            channel=str(entry.get("channel", "")),
            suspended=entry.get("suspended") is True,
            closed=mode not in (NO_TOKEN, SIGNED, SIGNED_BOUND)
            or (entry.get("visibility") == "Private" and mode == NO_TOKEN),
            token_mode=mode,
            bind_to=frozenset(map(str, playback_token.get("bind_to") or ())),
            ttl_seconds=float(playback_token.get("ttl_seconds") or 300),
            keys=parse_keys(entry.get("jwks") or {}),
            geo_allow=geo.get("mode") == "Allow",
            countries=frozenset(map(str, geo.get("countries") or ())),
            allowed_origins=frozenset(
                str(item).strip().rstrip("/").lower() for item in entry.get("allowed_origins") or ()
            ),
            max_viewers=int(entry.get("max_viewers") or 0),
            drm_systems=tuple(map(str, (entry.get("drm") or {}).get("systems") or ())),
            delivery=dict(entry.get("delivery") or {}),
        )
    except (ValueError, TypeError, AttributeError) as error:
        logger.error("unusable entry in %s, the channel is closed: %s", KEY, error)
        return Rules(closed=True)


def parse_keys(document: dict[str, Any]) -> dict[str, jwt.PyJWK]:
    """Public keys by key id; those that are no Ed25519 keys are left out."""
    found = {}
    for item in document.get("keys") or ():
        try:
            if item["kty"] == "OKP" and item["crv"] == "Ed25519" and item["kid"]:
                found[str(item["kid"])] = jwt.PyJWK(item, algorithm="EdDSA")
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            logger.error("a playback key cannot be used: %r", error)
    return found
