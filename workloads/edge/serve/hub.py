"""What all lean connections of a process share: targets by address, passes by viewer, and the sweep over idle ones."""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol
from urllib.parse import parse_qsl, urlencode

from workloads.common.access.gate import Grant
from workloads.common.access.viewer import Viewer
from workloads.common.loops import going_on
from workloads.edge.deliver import policy
from workloads.edge.deliver.cache import Entry
from workloads.edge.deliver.policy import Kind, Target
from workloads.edge.limit.sessions import Session
from workloads.edge.measure import cmcd
from workloads.edge.measure.cmcd import Report
from workloads.edge.measure.metrics import Metrics
from workloads.edge.serve import answers
from workloads.edge.serve.answers import PLAYLISTS, PUBLIC, Answer, Dress
from workloads.edge.serve.door import Door
from workloads.edge.serve.media import Media

SWEEP_SECONDS = 5.0
MAX_REMEMBERED = 20_000
MAX_ADDRESS_BYTES = 8192
_MAX_WIRES = 8
# Nothing that two parsers could read in two ways: no spaces, no control characters, no escapes in the path.
_ADDRESS = re.compile(rb"/[A-Za-z0-9/._-]+(?:\?[\x21\x24-\x7e]*)?")
_STATUS = {code.value: f"HTTP/1.1 {code.value} {code.phrase}\r\n".encode() for code in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Asked:
    """An address as it was asked for: what it names, and those of its parameters that tell of the viewer."""

    target: Target
    query: str = ""
    stream: str = ""
    kind: str = ""
    report: Report | None = None


@dataclass(slots=True)
class Pass:
    """A viewer that may have answers of a stream until `until` (of the loop's clock), and how they are dressed.

    `page` is the origin of the page in private answers, None in public ones; with it wires are told apart.
    """

    grant: Grant
    until: float
    dress: Dress = PUBLIC
    query: bytes = b""
    page: str | None = None
    session: Session | None = None


class Swept(Protocol):
    """A connection that can be looked after."""

    def sweep(self, now: float) -> None:
        """Close it when it takes up room for nothing."""
        ...


class Hub:
    """Shared by the connections of one process; `run` its sweep."""

    def __init__(self, media: Media, door: Door, metrics: Metrics) -> None:
        self.media = media
        self.door = door
        self.metrics = metrics
        self.connections: set[Swept] = set()
        self._asked: dict[bytes, Asked] = {}
        self._open: dict[str, Pass] = {}

    def ask(self, address: bytes) -> Asked | None:
        """What an address names; None when it names nothing, or is better answered at leisure."""
        found = self._asked.get(address)
        if found is not None:
            return found
        if len(address) > MAX_ADDRESS_BYTES or not _ADDRESS.fullmatch(address):
            return None
        path, _, query = address.decode("ascii").partition("?")
        target = policy.classify(path, query)
        if target is None:
            return None
        found = Asked(target, personal(query), target.stream, str(target.kind.value), cmcd.read(query, {}))
        if not found.query and found.report is None:
            if len(self._asked) >= MAX_REMEMBERED:
                self._asked.clear()
            self._asked[address] = found
        return found

    def open_pass(self, stream: str, now: float) -> Pass | None:
        """The pass that all viewers of an unrestricted stream share, while it is good."""
        found = self._open.get(stream)
        return found if found is not None and found.until > now else None

    def make_pass(self, grant: Grant, viewer: Viewer) -> Pass:
        """A pass for a grant."""
        session = self.door.session(grant, viewer)
        if not grant.rules.restricted and session is None:
            found = Pass(grant, grant.until)
            if len(self._open) >= MAX_REMEMBERED:
                self._open.clear()
            self._open[grant.stream] = found
            return found
        dress, query = answers.dress_of(grant, viewer), answers.carried_query(viewer, grant)
        page = dress.origin if dress.private else None
        return Pass(grant, grant.until, dress, query, page, session)

    def wire(self, asked: Asked, entry: Entry, holder: Pass, *, gzip: bool) -> tuple[bytes, bytes]:
        """Head and body of an answer, made once for all who get the same."""
        query = holder.query if holder.query and asked.target.kind in PLAYLISTS else b""
        key = gzip if holder.page is None else (gzip, holder.page)
        found = None if query else entry.wire.get(key)
        if found is None:
            found = serialise(answers.answer(asked.target, entry, holder.dress, gzip=gzip, query=query))
            if not query and len(entry.wire) < _MAX_WIRES:
                entry.wire[key] = found
        return found

    async def run(self) -> None:
        """Look after connections, until cancelled."""
        loop = asyncio.get_running_loop()
        while going_on():
            await asyncio.sleep(SWEEP_SECONDS)
            sweep(list(self.connections), loop.time())


def may_wait(target: Target) -> bool:
    """Whether a connection may wait for it; a segment may come as it grows, which is told in pieces."""
    return target.kind != Kind.SEGMENT


def personal(query: str) -> str:
    """The parameters of a query that tell of the viewer."""
    if "token=" not in query and "as_country=" not in query:
        return ""
    pairs = parse_qsl(query, max_num_fields=64)
    return urlencode([(name, value) for name, value in pairs if name in ("token", "as_country")])


def serialise(answer: Answer) -> tuple[bytes, bytes]:
    """Head and body as they go over the wire."""
    status, headers, body = answer
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    return _STATUS[status] + lines + b"\r\n", body


def sweep(connections: Iterable[Swept], now: float) -> None:
    """Look after each of them."""
    for connection in connections:
        connection.sweep(now)
