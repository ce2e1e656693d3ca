"""The SRT port: handshakes, and which datagram belongs to which publisher.

A publisher names its stream and proves with the passphrase, which is the stream's key, that it may publish: the name
goes over the wire in the clear, the key never does. The caller's conclusion is answered only when a transcoder has
taken the stream, so that a refusal reaches the person at the encoder with its reason.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, cast

from workloads.ingest.srt import cipher, handshake
from workloads.ingest.srt.cipher import BadSecret, Decryptor, KeyMessageError
from workloads.ingest.srt.handshake import Extension, Flag, Handshake, HandshakeError, Rejection, Terms
from workloads.ingest.srt.packet import Control, ControlPacket, PacketError, destination, pack, parse
from workloads.ingest.srt.peer import ACK_SECONDS, Peer

MAX_DECIDING = 64
_ANSWER_KEPT_SECONDS = 5.0

logger = logging.getLogger(__name__)
Address = tuple[str, int]


class Refused(Exception):
    """The publisher may not publish; `reason` goes over the wire, `label` into the metrics."""

    def __init__(self, reason: Rejection, label: str) -> None:
        super().__init__(label)
        self.reason = reason
        self.label = label


class Publication(Protocol):
    """Where the media of one publisher goes."""

    def feed(self, data: bytes) -> None:
        """MPEG-TS in order; what cannot be taken ends the publication."""

    @property
    def ended(self) -> bool:
        """Whether nobody takes the media any more."""

    async def close(self) -> None:
        """The publisher left."""


Keys = Callable[[str], Awaitable[tuple[str, ...]]]
"""The keys that are accepted for a stream, none for an unknown one; Refused when they cannot be had now."""

Open = Callable[[str, str, str], Awaitable[Publication]]
"""Begin a publication for (stream, key, address of the peer); Refused when it may not."""


@dataclass(slots=True)
class _Caller:
    """A caller that got, or waits for, its answer."""

    answer: bytes | None
    since: float


@dataclass(slots=True)
class _Accepted:
    peer: Peer
    address: Address
    publication: Publication
    stream: str


class SrtListener(asyncio.DatagramProtocol):
    """Made by `asyncio`'s datagram endpoint; `close` ends all publications in order."""

    def __init__(
        self,
        keys: Keys,
        begin: Open,
        *,
        latency_ms: int,
        max_publishers: int,
        on_change: Callable[[int], None] = lambda count: None,
        on_refused: Callable[[str], None] = lambda label: None,
        on_bytes: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._keys = keys
        self._begin = begin
        self._latency_ms = latency_ms
        self._max_publishers = max_publishers
        self._on_change = on_change
        self._on_refused = on_refused
        self._on_bytes = on_bytes
        self._secret = secrets.token_bytes(32)
        self._transport: asyncio.DatagramTransport | None = None
        self._callers: dict[tuple[Address, int], _Caller] = {}
        self._accepted: dict[int, _Accepted] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.TimerHandle | None = None
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The port is bound."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """A datagram from anybody."""
        now = time.monotonic()
        try:
            socket = destination(data)
            if socket == 0:
                self._greet(data, addr[:2], now)
                return
        except (PacketError, HandshakeError) as error:
            logger.debug("datagram ignored: %s", error)
            return
        found = self._accepted.get(socket)
        # An address that changed is another sender, until it has shaken hands.
        if found is None or found.address != addr[:2]:
            return
        self._on_bytes(len(data))
        found.peer.receive(data, now)
        if found.peer.closed:
            self._let_go(socket)

    async def close(self) -> None:
        """Say goodbye to all and end their publications."""
        self._closing = True
        now = time.monotonic()
        for socket, found in list(self._accepted.items()):
            found.peer.close(now)
            self._let_go(socket)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        if self._ticking:
            self._ticking.cancel()
        if self._transport:
            self._transport.close()

    def _greet(self, data: bytes, address: Address, now: float) -> None:
        packet = parse(data)
        if not isinstance(packet, ControlPacket) or packet.kind is not Control.HANDSHAKE or self._closing:
            return
        request = handshake.parse(packet.body)
        name = f"{address[0]}:{address[1]}"
        if request.kind == handshake.INDUCTION:
            cookie = handshake.cookie(self._secret, name, time.time())
            self._answer(address, request, handshake.induction(request, cookie))
        elif request.kind == handshake.CONCLUSION and handshake.knows_cookie(
            request.cookie, self._secret, name, time.time()
        ):
            self._conclude(request, address, now)

    def _conclude(self, request: Handshake, address: Address, now: float) -> None:
        """Decide once for each caller; a repeated conclusion gets the same answer."""
        caller = self._callers.get((address, request.socket))
        if caller is not None:
            if caller.answer:
                self._put(caller.answer, address)
            return
        deciding = sum(item.answer is None for item in self._callers.values())
        if deciding >= MAX_DECIDING:
            self._refuse(request, address, Refused(Rejection.RESOURCE, "connections"))
            return
        self._callers[address, request.socket] = _Caller(None, now)
        self._spawn(self._decide(request, address))

    async def _decide(self, request: Handshake, address: Address) -> None:
        caller = self._callers[address, request.socket]
        try:
            answer = await self._accept(request, address)
        except Refused as refused:
            answer = self._refuse(request, address, refused)
        else:
            self._put(answer, address)
        caller.answer, caller.since = answer, time.monotonic()
        self._schedule()

    async def _accept(self, request: Handshake, address: Address) -> bytes:
        if len(self._accepted) >= self._max_publishers:
            raise Refused(Rejection.RESOURCE, "connections")
        wanted, stream = _wanted(request)
        key, decryptor = await self._unlock(wanted, stream)
        publication = await self._begin(stream, key, address[0])
        socket, now = self._free_socket(), time.monotonic()
        latency_ms = max(self._latency_ms, wanted.latency_ms)
        peer = Peer(
            remote=request.socket,
            first=request.sequence & 0x7FFFFFFF,
            latency_seconds=latency_ms / 1000,
            passphrase=key,
            decryptor=decryptor,
            send=lambda datagram: self._put(datagram, address),
            deliver=publication.feed,
            now=now,
        )
        self._accepted[socket] = _Accepted(peer, address, publication, stream)
        self._on_change(len(self._accepted))
        logger.info("publisher accepted", extra={"stream": stream, "protocol": "srt", "latency_ms": latency_ms})
        terms = handshake.conclusion(
            request, socket=socket, latency_ms=latency_ms, key_message=request.extension(Extension.KMREQ)
        )
        return _datagram(request, terms)

    async def _unlock(self, wanted: Terms, stream: str) -> tuple[str, Decryptor]:
        """Which of the stream's keys the caller has; an unknown stream looks like a wrong key, so none is probed."""
        if wanted.key_message is None:
            raise Refused(Rejection.UNSECURE, "unencrypted")
        for key in await self._keys(stream):
            try:
                return key, Decryptor(cipher.unwrap(wanted.key_message, key))
            except BadSecret:
                continue
            except KeyMessageError as error:
                raise Refused(Rejection.BAD_REQUEST, "malformed") from error
        raise Refused(Rejection.BAD_SECRET, "key")

    def _refuse(self, request: Handshake, address: Address, refused: Refused) -> bytes:
        self._on_refused(refused.label)
        logger.info("publisher refused: %s", refused.label, extra={"protocol": "srt", "reason": refused.reason.name})
        answer = _datagram(request, handshake.rejection(request, refused.reason))
        self._put(answer, address)
        return answer

    def _answer(self, address: Address, request: Handshake, response: Handshake) -> None:
        self._put(_datagram(request, response), address)

    def _put(self, datagram: bytes, address: Address) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.sendto(datagram, address)

    def _free_socket(self) -> int:
        while True:
            socket = secrets.randbelow(0x3FFFFFFE) + 1
            if socket not in self._accepted:
                return socket

    def _let_go(self, socket: int) -> None:
        found = self._accepted.pop(socket)
        self._on_change(len(self._accepted))
        counts = {"lost": found.peer.receiver.lost, "asked_again": found.peer.retransmits_asked}
        logger.info("publisher left", extra={"stream": found.stream, "protocol": "srt", **counts})
        self._spawn(found.publication.close())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _schedule(self) -> None:
        if self._ticking is None and (self._accepted or self._callers):
            self._ticking = asyncio.get_running_loop().call_later(ACK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        now = time.monotonic()
        for socket, found in list(self._accepted.items()):
            if found.publication.ended:
                found.peer.close(now)
            found.peer.tick(now)
            if found.peer.closed:
                self._let_go(socket)
        for key, caller in list(self._callers.items()):
            if caller.answer and now - caller.since > _ANSWER_KEPT_SECONDS:
                del self._callers[key]
        self._schedule()


def _wanted(request: Handshake) -> tuple[Terms, str]:
    """What the caller asks for, and the stream; Refused when it cannot be had here."""
    if request.version != handshake.VERSION:
        raise Refused(Rejection.VERSION, "version")
    try:
        wanted = handshake.terms(request)
    except HandshakeError as error:
        raise Refused(Rejection.ROGUE, "malformed") from error
    if wanted.flags & Flag.STREAM:
        raise Refused(Rejection.MESSAGE_API, "mode")
    try:
        stream = handshake.stream_name(wanted.stream)
    except HandshakeError as error:
        raise Refused(Rejection.BAD_MODE, "mode") from error
    if not stream:
        raise Refused(Rejection.BAD_REQUEST, "no_stream")
    return wanted, stream


def _datagram(request: Handshake, response: Handshake) -> bytes:
    return pack(Control.HANDSHAKE, to=request.socket, timestamp=0, body=handshake.pack(response))
