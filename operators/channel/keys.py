"""Stream key and playback keys of a Channel: what is stored, and what a rotation makes of it. Pure: the moment and
fresh keys are given.

A rotation of the stream key has two steps. It starts with a second Secret; for ten minutes both keys let a publisher
in. Then the main Secret takes the new key. Each step may be repeated after a crash without revoking a key too early.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from operators.api.base import seconds
from operators.api.channel import KeyRotation, RotationPolicy
from operators.channel.jwk import Jwk, public
from operators.core.plan import Manifest
from operators.core.times import epoch, epoch_or_none

STREAM_KEY = "stream-key"
PLAYBACK_KEYS = "keys.json"
ROTATE_ANNOTATION = "haat.dev/rotate-key"
CREATED_ANNOTATION = "haat.dev/created-at"
REVOKED_ANNOTATION = "haat.dev/revoked-key"
OVERLAP_SECONDS = 600.0
ACTIVE_PLAYBACK_KEYS = 2


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A stream key as a Secret holds it. `revoked` is the SHA-256 of the key that it replaced."""

    value: str
    created_at: float
    revoked: str = ""


@dataclass(frozen=True, slots=True)
class KeyState:
    """Stream keys after a step. `due_in` is seconds until time alone makes the next one, `event` what has happened."""

    main: StoredKey
    upcoming: StoredKey | None = None
    rotated_at: float = 0.0
    rotate_seen: str = ""
    due_in: float | None = None
    event: str = ""


def digest(key: str) -> str:
    """What stands for a key outside of its Secret."""
    return hashlib.sha256(key.encode()).hexdigest()


def stored_key(secret: Manifest | None) -> StoredKey | None:
    """The key of a Secret; None when there is no Secret, or nothing readable in it."""
    value = text_of(secret, STREAM_KEY)
    if secret is None or not value:
        return None
    metadata = secret["metadata"]
    annotations = metadata.get("annotations") or {}
    return StoredKey(value, _created(metadata), annotations.get(REVOKED_ANNOTATION, ""))


def text_of(secret: Manifest | None, key: str) -> str:
    """One value of a Secret as text; empty when it is missing or not readable."""
    value = ((secret or {}).get("data") or {}).get(key)
    try:
        return base64.b64decode(value).decode().strip() if value else ""
    except ValueError:
        return ""


def next_state(
    rotation: KeyRotation,
    main: StoredKey | None,
    upcoming: StoredKey | None,
    *,
    rotated_at: float | None,
    rotate_seen: str,
    asked: str,
    fresh: str,
    now: float,
) -> KeyState:
    """The stream keys as they should be now; `asked` is the value of the annotation that asks for a rotation."""
    if main is None:
        made = StoredKey(upcoming.value if upcoming else fresh, now)
        return KeyState(made, rotated_at=now, rotate_seen=asked, due_in=_interval(rotation), event="KeyCreated")
    state = KeyState(main, upcoming, rotated_at or main.created_at, rotate_seen)
    if upcoming is not None:
        return _overlapping(rotation, state, upcoming, now)
    interval = _interval(rotation)
    due = None if interval is None else state.rotated_at + interval - now
    requested = rotation.policy == RotationPolicy.ON_DEMAND and asked not in ("", rotate_seen)
    if requested or (due is not None and due <= 0):
        return replace(
            state,
            upcoming=StoredKey(fresh, now),
            rotate_seen=asked if requested else rotate_seen,
            due_in=OVERLAP_SECONDS,
            event="KeyRotationStarted",
        )
    return replace(state, due_in=due)


def _overlapping(rotation: KeyRotation, state: KeyState, upcoming: StoredKey, now: float) -> KeyState:
    """Both keys work until the overlap is over; then the new one is the key."""
    if upcoming.value == state.main.value:
        return replace(state, upcoming=None, due_in=_interval(rotation))
    left = upcoming.created_at + OVERLAP_SECONDS - now
    if left > 0:
        return replace(state, due_in=left)
    made = StoredKey(upcoming.value, now, digest(state.main.value))
    return replace(state, main=made, upcoming=None, rotated_at=now, due_in=_interval(rotation), event="KeyRotated")


def _interval(rotation: KeyRotation) -> float | None:
    """Seconds between rotations; a rotation never starts before the last one is over."""
    if rotation.policy != RotationPolicy.INTERVAL:
        return None
    return max(seconds(rotation.interval), OVERLAP_SECONDS)


def stored_playback_keys(secret: Manifest | None) -> tuple[Jwk, ...]:
    """The private keys of the Secret, newest first; entries that are no keys are left out."""
    try:
        body: Any = json.loads(text_of(secret, PLAYBACK_KEYS) or "{}")
    except ValueError:
        return ()
    keys = body.get("keys") if isinstance(body, dict) else None
    return tuple(
        item for item in keys or () if isinstance(item, dict) and {"kid", "x", "d", "created_at"} <= item.keys()
    )


def next_playback_keys(
    stored: Sequence[Jwk], *, rotation_seconds: float, fresh: Sequence[Jwk], now: float
) -> tuple[Jwk, ...]:
    """The two active keys, the one that signs first. `fresh` are as many unused keys."""
    made = [key | {"created_at": int(now)} for key in fresh]
    keys = list(stored[:ACTIVE_PLAYBACK_KEYS])
    if not keys:
        return tuple(made[:ACTIVE_PLAYBACK_KEYS])
    if rotation_seconds > 0 and now - float(keys[0]["created_at"]) >= rotation_seconds:
        keys.insert(0, made[0])
    elif len(keys) < ACTIVE_PLAYBACK_KEYS:
        keys.append(made[0])
    return tuple(keys[:ACTIVE_PLAYBACK_KEYS])


def playback_due_in(keys: Sequence[Jwk], *, rotation_seconds: float, now: float) -> float | None:
    """Seconds until the next rotation of the playback keys."""
    return float(keys[0]["created_at"]) + rotation_seconds - now if keys and rotation_seconds > 0 else None


def jwks(keys: Sequence[Jwk]) -> dict[str, list[Jwk]]:
    """The public key set."""
    return {"keys": [public(key) for key in keys]}


def _created(metadata: dict[str, Any]) -> float:
    """When the key was made: its annotation, else the Secret's own age, else long ago."""
    annotations = metadata.get("annotations") or {}
    try:
        return epoch(annotations[CREATED_ANNOTATION])
    except (KeyError, ValueError):
        return epoch_or_none(metadata.get("creationTimestamp")) or 0.0
