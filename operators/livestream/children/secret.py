"""Secret `<name>-stream-key`: what a host publishes with, and what nobody may publish with any more.

A key leads to its stream through Redis. When a channel's key is replaced, only this Secret still knows the old one, so
its digest is kept as an annotation and its route is taken away until that has surely been done.
"""

import base64
import binascii
import hashlib

from operators.api import LiveStream
from operators.core.children import child
from operators.core.plan import Manifest
from operators.core.platform import Platform
from operators.livestream import names
from operators.livestream.observe import StreamKeys

KEY = "stream-key"
ACCEPTED = "accepted-keys"
REVOKED_ANNOTATION = "haat.dev/revoked-keys"
MOST_REVOKED = 8


def build_secret(
    stream: LiveStream, keys: StreamKeys, platform: Platform, *, revoked: tuple[str, ...] = ()
) -> Manifest:
    """The Secret: `stream-key`, `accepted-keys` (one a line, the stream's own first) and complete publish URLs."""
    internal = platform.rtmp_internal_url or platform.rtmp_url
    secret = child(
        stream,
        api_version="v1",
        kind="Secret",
        name=names.key_secret(stream),
        component="stream-key",
        type="Opaque",
        data={
            KEY: encoded(keys.stream_key),
            ACCEPTED: encoded("\n".join(keys.accepted())),
            "rtmp-url": encoded(f"{platform.rtmp_url}/{keys.stream_key}"),
            **_srt(stream, keys, platform),
            "rtmp-internal-url": encoded(f"{internal}/{keys.stream_key}"),
        },
    )
    if revoked:
        secret["metadata"]["annotations"] = {REVOKED_ANNOTATION: ",".join(revoked)}
    return secret


def _srt(stream: LiveStream, keys: StreamKeys, platform: Platform) -> dict[str, str]:
    """SRT names the stream in the clear and takes the key as passphrase."""
    if not platform.srt_url:
        return {}
    return {"srt-url": encoded(f"{platform.srt_url}?streamid={stream.id}&passphrase={keys.stream_key}&pbkeylen=32")}


def revoked_digests(live: Manifest | None, keys: StreamKeys) -> tuple[str, ...]:
    """SHA-256 of the keys that this stream accepted and does not any more, oldest first."""
    metadata = (live or {}).get("metadata") or {}
    known = [item for item in (metadata.get("annotations") or {}).get(REVOKED_ANNOTATION, "").split(",") if item]
    accepted = {digest(key) for key in keys.accepted()}
    found = [item for item in (*known, *(digest(key) for key in _accepted(live))) if item not in accepted]
    return tuple(dict.fromkeys(found))[-MOST_REVOKED:]


def digest(key: str) -> str:
    """What stands for a key outside of its Secret."""
    return hashlib.sha256(key.encode()).hexdigest()


def _accepted(live: Manifest | None) -> list[str]:
    """The keys that the Secret names now; none when it cannot be read."""
    try:
        text = base64.b64decode(((live or {}).get("data") or {}).get(ACCEPTED) or "").decode()
    except (binascii.Error, UnicodeDecodeError):
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


def encoded(text: str) -> str:
    """Base64, as Secret.data wants it."""
    return base64.b64encode(text.encode()).decode()
