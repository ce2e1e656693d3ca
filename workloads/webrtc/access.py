"""Who may watch over WebRTC: the gate of the edge, asked at the offer and every few seconds while a session runs.

A session lasts longer than a request: what is taken back meanwhile ends it. A token that merely expires does not,
because its holder was let in while it was good.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from starlette.requests import Request

from workloads.common.access.gate import Gate, Grant
from workloads.common.access.viewer import Network, Viewer, read_viewer
from workloads.common.loops import going_on
from workloads.common.problem import Problem

RECHECK_SECONDS = 3.0
_STAYS = frozenset(("playback_token_expired", "policy_unknown"))

logger = logging.getLogger(__name__)


class Sessions(Protocol):
    """What can be ended."""

    def find(self, name: str) -> object | None:
        """The session with this name."""
        ...

    def end(self, name: str) -> bool:
        """End a session."""
        ...


class Access:
    """`run` it beside the sessions."""

    def __init__(self, gate: Gate, proxies: Sequence[Network]) -> None:
        self._gate = gate
        self._proxies = proxies
        self._running: dict[str, tuple[str, Viewer]] = {}

    async def admit(self, stream: str, request: Request) -> tuple[Viewer, Grant]:
        """The viewer and its grant; Problem 403, 451 or 503."""
        peer = request.client.host if request.client else ""
        viewer = read_viewer(peer, lambda name: request.headers.get(name, ""), request.url.query, self._proxies)
        return viewer, await self._gate.admit(stream, viewer)

    def keep(self, session: str, stream: str, viewer: Viewer) -> None:
        """The session is to end when the viewer may not watch any more."""
        self._running[session] = (stream, viewer)

    async def recheck(self, sessions: Sessions) -> None:
        """Ask about all sessions again."""
        for name, (stream, viewer) in list(self._running.items()):
            if sessions.find(name) is None:
                self._running.pop(name, None)
                continue
            try:
                await self._gate.admit(stream, viewer)
            except Problem as problem:
                if problem.code not in _STAYS:
                    logger.info("a viewer may not watch any more: %s", problem.code, extra={"stream": stream})
                    sessions.end(name)
                    self._running.pop(name, None)

    async def run(self, sessions: Sessions) -> None:
        """Ask again every few seconds, until cancelled."""
        while going_on():
            await asyncio.sleep(RECHECK_SECONDS)
            await self.recheck(sessions)
