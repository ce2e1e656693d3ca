"""Secrets of a Channel: the stream key, the one that follows it, and the keys that sign playback tokens."""

import base64
import json
from collections.abc import Sequence

from operators.api import Channel
from operators.channel import names
from operators.channel.jwk import Jwk
from operators.channel.keys import CREATED_ANNOTATION, PLAYBACK_KEYS, REVOKED_ANNOTATION, STREAM_KEY, StoredKey
from operators.core.children import child
from operators.core.plan import Manifest
from operators.core.times import rfc3339


def build_key_secret(channel: Channel, key: StoredKey, *, upcoming: bool = False) -> Manifest:
    """The Secret with the stream key, or with the `upcoming` one."""
    name = channel.metadata.name
    secret = child(
        channel,
        api_version="v1",
        kind="Secret",
        name=names.next_key_secret(name) if upcoming else names.key_secret(name),
        component="channel-key",
        type="Opaque",
        data={STREAM_KEY: _encoded(key.value)},
    )
    annotations = {CREATED_ANNOTATION: rfc3339(key.created_at)} if key.created_at else {}
    if key.revoked:
        annotations[REVOKED_ANNOTATION] = key.revoked
    if annotations:
        secret["metadata"]["annotations"] = annotations
    return secret


def build_playback_secret(channel: Channel, keys: Sequence[Jwk]) -> Manifest:
    """The private JSON Web Key Set; the first key signs."""
    return child(
        channel,
        api_version="v1",
        kind="Secret",
        name=names.playback_secret(channel),
        component="playback-keys",
        type="Opaque",
        data={PLAYBACK_KEYS: _encoded(json.dumps({"keys": list(keys)}, sort_keys=True))},
    )


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
