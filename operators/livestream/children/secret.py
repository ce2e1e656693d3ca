"""Secret `<name>-stream-key`: what a host publishes with."""

import base64

from operators.api import LiveStream
from operators.core.children import child
from operators.core.plan import Manifest
from operators.core.platform import Platform
from operators.livestream import names
from operators.livestream.observe import StreamKeys

KEY = "stream-key"
ACCEPTED = "accepted-keys"


def build_secret(stream: LiveStream, keys: StreamKeys, platform: Platform) -> Manifest:
    """The Secret: `stream-key`, `accepted-keys` (one a line, the stream's own first) and complete publish URLs."""
    internal = platform.rtmp_internal_url or platform.rtmp_url
    return child(
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
            "rtmp-internal-url": encoded(f"{internal}/{keys.stream_key}"),
        },
    )


def encoded(text: str) -> str:
    """Base64, as Secret.data wants it."""
    return base64.b64encode(text.encode()).decode()
