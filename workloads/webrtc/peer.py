"""One peer behind the port: ICE-lite, then DTLS, then SRTP, and its end (RFC 8445, RFC 7675, RFC 8829).

A peer that has not proved for `CONSENT_SECONDS` that it still wants something gets nothing more. What a stranger sends
to its address, or forges, is counted and dropped: nothing from the network raises.
"""

import asyncio
import hmac
import logging
import secrets
import time
from typing import Protocol

from workloads.webrtc import rtcp, srtp, stun
from workloads.webrtc.dtls import Dtls, DtlsError, Fingerprint, Identity
from workloads.webrtc.port import UdpPort
from workloads.webrtc.stun import Address

CONSENT_SECONDS = 30.0
HANDSHAKE_SECONDS = 15.0
_DTLS_TICK_SECONDS = 0.1

logger = logging.getLogger(__name__)


class Media(Protocol):
    """What is done with a peer's packets."""

    def on_connected(self) -> None:
        """Keys are there: media may flow."""
        ...

    def on_rtp(self, packet: bytes) -> None:
        """A packet, decrypted."""
        ...

    def on_rtcp(self, packet: bytes) -> None:
        """A compound packet, decrypted."""
        ...

    def on_ended(self, reason: str) -> None:
        """The peer is gone; called once, unless `close` was called."""
        ...


class Peer:
    """Made with the fingerprint of the peer's offer; registered at the port until it ends."""

    def __init__(self, port: UdpPort, identity: Identity, fingerprint: Fingerprint, media: Media) -> None:
        self.fragment = secrets.token_urlsafe(6)
        self.password = secrets.token_urlsafe(18)
        self.address: Address | None = None
        self.outbound: srtp.Outbound | None = None
        self.forged = 0
        self._inbound: srtp.Inbound | None = None
        self._port = port
        self._media = media
        self._dtls = Dtls(identity, fingerprint)
        self._seen = self._began = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._over = False
        port.register(self.fragment, self)

    def stun(self, message: stun.Message, address: Address) -> bool:
        """A connectivity or consent check."""
        password = self.password.encode()
        if self._over or not stun.authentic(message, password):
            self.forged += 1
            return False
        self._seen = time.monotonic()
        # The controlling side nominates; before that, any checked pair will do.
        if self.address is None or stun.USE_CANDIDATE in message.attributes:
            self.address = address
        self._port.send(stun.binding_response(message, address, password), address)
        return True

    def datagram(self, data: bytes) -> None:
        """DTLS, SRTP or SRTCP (RFC 7983)."""
        if self._over or not data:
            return
        if 20 <= data[0] <= 63:
            self._handshake(data)
        elif 128 <= data[0] <= 191 and self._inbound:
            try:
                if rtcp.is_rtcp(data):
                    self._media.on_rtcp(self._inbound.rtcp(data))
                else:
                    self._media.on_rtp(self._inbound.rtp(data))
            except srtp.Error:
                self.forged += 1

    def send_rtcp(self, compound: bytes) -> None:
        """Send a compound packet, if that is possible yet."""
        if self.outbound and self.address:
            self._port.send(self.outbound.rtcp(compound), self.address)

    def check(self, now: float) -> None:
        """End a peer that is silent or does not get ready; `now` is of `time.monotonic`."""
        if now - self._seen > CONSENT_SECONDS:
            self._end("no consent")
        elif self.outbound is None and now - self._began > HANDSHAKE_SECONDS:
            self._end("no handshake")

    def matches(self, fragment: str, password: str) -> bool:
        """Whether these are this side's credentials."""
        return fragment == self.fragment and hmac.compare_digest(password, self.password)

    def close(self) -> None:
        """Say goodbye and forget the peer."""
        if self._over:
            return
        self._over = True
        self._send_all(self._dtls.close())
        self._release()

    def _handshake(self, data: bytes) -> None:
        try:
            self._send_all(self._dtls.feed(data))
        except DtlsError as error:
            logger.info("peer refused: %s", error)
            self._end("dtls")
            return
        if self._dtls.closed:
            self._end("left")
        elif self._dtls.connected and self.outbound is None:
            self.outbound, self._inbound = self._dtls.outbound, self._dtls.inbound
            self._media.on_connected()
        elif self.outbound is None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_DTLS_TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if not self._over and self.outbound is None:
            self._send_all(self._dtls.tick())
            self._timer = asyncio.get_running_loop().call_later(_DTLS_TICK_SECONDS, self._tick)

    def _send_all(self, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            if self.address:
                self._port.send(datagram, self.address)

    def _end(self, reason: str) -> None:
        if not self._over:
            self._over = True
            self._release()
            self._media.on_ended(reason)

    def _release(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._port.forget(self.fragment)
