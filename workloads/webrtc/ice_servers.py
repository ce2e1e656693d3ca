"""STUN and TURN servers as Link headers (RFC 9725, 4.6), with ephemeral credentials as coturn checks them.

coturn's `use-auth-secret`: the username begins with the time of expiry, the password is its HMAC-SHA1.
"""

import base64
import hmac
import time
from collections.abc import Callable, Sequence

from workloads.webrtc.config import IceServer


class IceServers:
    """What sessions are told; `secret` is what the TURN servers share with this pod."""

    def __init__(
        self,
        servers: Sequence[IceServer],
        secret: str,
        ttl_seconds: int,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._servers = servers
        self._secret = secret.encode()
        self._ttl_seconds = ttl_seconds
        self._wall = wall

    def links(self, user: str) -> list[str]:
        """Values of Link headers for the session of `user`."""
        found = []
        for server in self._servers:
            for url in server.urls:
                found.append(f'<{url}>; rel="ice-server"{self._credential(server, url, user)}')
        return found

    def _credential(self, server: IceServer, url: str, user: str) -> str:
        if not url.startswith("turn"):
            return ""
        username, password = server.username, server.credential
        if not password and self._secret:
            username = f"{int(self._wall()) + self._ttl_seconds}:{user}"
            password = base64.b64encode(hmac.digest(self._secret, username.encode(), "sha1")).decode()
        if not password:
            return ""
        return f'; username="{_quoted(username)}"; credential="{_quoted(password)}"; credential-type="password"'


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
