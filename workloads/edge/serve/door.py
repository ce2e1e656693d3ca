"""The edge's door: reads the viewer out of a request and asks the gate about it."""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from workloads.common.access.gate import Gate, Grant
from workloads.common.access.viewer import Network, Viewer, is_trusted, read_viewer

Scope = MutableMapping[str, Any]
_JOINED = {b"cookie": "; ", b"x-forwarded-for": ", "}


class Door:
    """Viewers and grants; `proxies` are networks whose forwarding headers are believed."""

    def __init__(self, gate: Gate, proxies: Sequence[Network]) -> None:
        self.gate = gate
        self._proxies = proxies

    def viewer(self, scope: Scope) -> Viewer:
        """The viewer of an ASGI request."""
        headers = fold(scope["headers"])
        peer = (scope.get("client") or ("", 0))[0]
        return self.read(str(peer), headers, scope["query_string"].decode("latin-1"))

    def read(self, peer: str, headers: Mapping[str, str], query: str) -> Viewer:
        """The viewer behind a connection."""
        return read_viewer(peer, lambda name: headers.get(name, ""), query, self._proxies)

    def is_secure(self, scope: Scope) -> bool:
        """Whether the viewer's own connection is encrypted."""
        if scope.get("scheme") == "https":
            return True
        peer = str((scope.get("client") or ("", 0))[0])
        return is_trusted(peer, self._proxies) and fold(scope["headers"]).get("x-forwarded-proto", "") == "https"

    async def admit(self, stream: str, viewer: Viewer) -> Grant:
        """The grant; Problem 403, 451 or 503."""
        return await self.gate.admit(stream, viewer)


def fold(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by name; of repeated ones the last, unless they are lists."""
    found: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}{_JOINED[name]}{text}" if key in found and name in _JOINED else text
    return found
