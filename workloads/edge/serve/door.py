"""The edge's door: reads the viewer out of a request and asks the gate about it."""

import time
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from workloads.common.access.gate import Gate, Grant
from workloads.common.access.viewer import Network, Viewer, is_trusted, read_viewer
from workloads.edge.deliver.policy import Kind
from workloads.edge.limit.overload import Overload
from workloads.edge.limit.sessions import Session, Sessions, check_bucket
from workloads.edge.serve.answers import ENTRANCES

Scope = MutableMapping[str, Any]
_JOINED = {b"cookie": "; ", b"x-forwarded-for": ", "}


class Door:
    """Viewers and grants; `proxies` are networks whose forwarding headers are believed."""

    def __init__(self, gate: Gate, proxies: Sequence[Network], sessions: Sessions, overload: Overload) -> None:
        self.gate = gate
        self.sessions = sessions
        self.overload = overload
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

    def session(self, grant: Grant, viewer: Viewer) -> Session | None:
        """The viewer's session, where sessions are limited; Problem 403 or 503 when it is one too many."""
        return self.sessions.touch(grant, viewer) if self.sessions.applies(grant) else None

    def enter(self, kind: Kind, session: Session | None) -> None:
        """Before an answer: Problem 503 for a new viewer when the edge is full, for any that has taken its share."""
        if kind in ENTRANCES:
            self.overload.check()
        elif session is not None and session.bucket is not None:
            check_bucket(session, time.time())


def fold(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by name; of repeated ones the last, unless they are lists."""
    found: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}{_JOINED[name]}{text}" if key in found and name in _JOINED else text
    return found
