"""All sessions of this pod: made from offers, found by their unguessable name, ended by whoever ends them.

One clock ticks for all of them, a tenth in each tick, so that a thousand sender reports do not leave at one moment.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from workloads.common.loops import going_on
from workloads.common.problem import Problem
from workloads.webrtc.dtls import Identity
from workloads.webrtc.metrics import Metrics
from workloads.webrtc.negotiate import Local, Plan, Source, answer
from workloads.webrtc.packets import MAX_PACKET_BYTES, MAX_RUN_PACKETS
from workloads.webrtc.peer import Peer
from workloads.webrtc.port import UdpPort
from workloads.webrtc.srtp import Scratch
from workloads.webrtc.stream import Stream
from workloads.webrtc.stream import Tools as StreamTools
from workloads.webrtc.viewer import Viewer

_TICKS = 10
_STREAM_IDLE_SECONDS = 10.0
_SCRATCH_BYTES = (MAX_RUN_PACKETS + 1) * (MAX_PACKET_BYTES + 200)

logger = logging.getLogger(__name__)


class Held(Protocol):
    """What a session is about."""

    peer: Peer
    name: str
    sources: dict[str, Source]

    def second(self, now: float, wall: float) -> None:
        """Called once a second."""
        ...

    def close(self) -> None:
        """End it with a goodbye."""
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """One peer's session; `kind` is whep or whip."""

    id: str
    kind: str
    held: Held
    leave: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where peers find this pod: the candidate of every answer."""

    host: str
    port: int


class Sessions:
    """Made inside a running event loop; `run` it, `close` it."""

    def __init__(
        self, port: UdpPort, place: Place, tools: StreamTools, metrics: Metrics, *, pod: str, max_viewers: int
    ) -> None:
        self.port = port
        self.identity = Identity()
        self.pod = pod
        self._place = place
        self._tools = tools
        self._metrics = metrics
        self._max_viewers = max_viewers
        self._scratch = Scratch(_SCRATCH_BYTES)
        self._streams: dict[str, Stream] = {}
        self._sessions: dict[str, Session] = {}
        self._viewers = 0
        self.draining = False

    @property
    def viewers(self) -> int:
        """Viewers of this pod."""
        return self._viewers

    def find(self, name: str) -> Session | None:
        """The session with this name."""
        return self._sessions.get(name)

    async def view(self, stream: str, plan: Plan, rung: str) -> tuple[Session, str]:
        """Begin to serve a viewer: session and answer; Problem when that is not possible."""
        self._admit()
        source = self._streams.get(stream)
        if source is None:
            source = self._streams[stream] = Stream(stream, self._tools)
        source.idle_since = time.monotonic()
        await source.open()
        source.check(rung)
        self._admit()
        name = self.new_name()
        viewer = Viewer(
            self.port,
            self._scratch,
            self.identity,
            plan,
            self._metrics,
            on_end=lambda reason: self.forget(name, reason),
        )
        self._streams[stream] = source
        source.add(viewer, rung)
        self._viewers += 1
        session = Session(name, "whep", viewer, lambda: self._left(source, viewer))
        return session, self.hold(session, plan, "sendonly")

    def new_name(self) -> str:
        """An unguessable name that says which pod has the session."""
        return f"{self.pod}~{secrets.token_urlsafe(24)}"

    def hold(self, session: Session, plan: Plan, direction: str) -> str:
        """Keep the session until it ends; its answer."""
        self._sessions[session.id] = session
        peer = session.held.peer
        logger.info("session began", extra={"session": session.held.name, "kind": session.kind})
        local = Local(
            fragment=peer.fragment,
            password=peer.password,
            fingerprint=self.identity.fingerprint,
            host=self._place.host,
            port=self._place.port,
            direction=direction,
            name=session.held.name,
            session=secrets.randbits(62),
            sources=session.held.sources,
        )
        return answer(plan, local)

    def end(self, name: str) -> bool:
        """End a session from this side; False when there is none."""
        session = self._sessions.get(name)
        if session is None:
            return False
        session.held.close()
        self.forget(name, "deleted")
        return True

    async def run(self) -> None:
        """The clock, until cancelled."""
        tick = 0
        loop = asyncio.get_running_loop()
        due = loop.time()
        while going_on():
            due = max(due + 1 / _TICKS, loop.time())
            await asyncio.sleep(due - loop.time())
            tick = (tick + 1) % _TICKS
            now, wall = time.monotonic(), time.time()
            for place, session in enumerate(list(self._sessions.values())):
                if place % _TICKS == tick:
                    session.held.second(now, wall)
            if tick == 0:
                await self._look_after_streams(now)

    async def close(self) -> None:
        """End everything."""
        self.draining = True
        for name in list(self._sessions):
            self.end(name)
        for stream in list(self._streams.values()):
            await stream.close()
        self._streams.clear()

    def _admit(self) -> None:
        if self.draining:
            raise Problem(503, "draining", "This pod is going away.", retry_after_seconds=1)
        if self._viewers >= self._max_viewers:
            detail = f"This pod serves {self._max_viewers} viewers already."
            raise Problem(503, "too_many_viewers", detail, retry_after_seconds=2)

    def _left(self, source: Stream, viewer: Viewer) -> None:
        self._viewers -= 1
        source.remove(viewer)

    def forget(self, name: str, reason: str) -> None:
        """The session is over."""
        session = self._sessions.pop(name, None)
        if session:
            logger.info("session ended", extra={"session": session.held.name, "reason": reason})
            session.leave()

    async def _look_after_streams(self, now: float) -> None:
        for name, stream in list(self._streams.items()):
            stream.second(now)
            if not stream.viewers and now - stream.idle_since > _STREAM_IDLE_SECONDS:
                del self._streams[name]
                await stream.close()
