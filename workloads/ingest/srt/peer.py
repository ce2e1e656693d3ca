"""One accepted SRT publisher: acknowledges, asks for what is lost, opens what is encrypted, hands the stream on.

Free of sockets: `send` puts a datagram on the wire, `now` comes in. Media leaves as a byte stream of MPEG-TS.
"""

import struct
from collections.abc import Callable

from workloads.ingest.srt import cipher
from workloads.ingest.srt.cipher import BadSecret, Decryptor, KeyMessageError
from workloads.ingest.srt.packet import (
    Control,
    ControlPacket,
    DataPacket,
    PacketError,
    pack,
    pack_ranges,
    parse,
)
from workloads.ingest.srt.receiver import Receiver

ACK_SECONDS = 0.010
KEEPALIVE_SECONDS = 1.0
SILENCE_SECONDS = 5.0
_LIGHT_ACK_PACKETS = 64
_MIN_NAK_SECONDS = 0.020
_FIRST_RTT, _FIRST_RTT_VARIANCE = 0.1, 0.05
_KEY_REQUEST, _KEY_RESPONSE = 3, 4
_MAX_PENDING_ACKS = 256


class Peer:
    """Feed it datagrams with `receive` and time with `tick`; `closed` when the peer said goodbye or fell silent."""

    def __init__(
        self,
        *,
        remote: int,
        first: int,
        latency_seconds: float,
        passphrase: str,
        decryptor: Decryptor | None,
        send: Callable[[bytes], None],
        deliver: Callable[[bytes], None],
        now: float,
    ) -> None:
        self.closed = False
        self.retransmits_asked = 0
        self.undecryptable = 0
        self.malformed = 0
        self.receiver = Receiver(first, latency_seconds=latency_seconds)
        self._remote = remote
        self._passphrase = passphrase
        self._decryptor = decryptor
        self._send = send
        self._deliver = deliver
        self._began = self._heard = self._spoke = now
        self._measured = False
        self._rtt, self._variance = _FIRST_RTT, _FIRST_RTT_VARIANCE
        self._acks: dict[int, float] = {}
        self._ack_number = 0
        self._acked = first
        self._ack_at = now
        self._since_ack = 0

    @property
    def rtt_seconds(self) -> float:
        """Smoothed round trip."""
        return self._rtt

    def receive(self, datagram: bytes, now: float) -> None:
        """A datagram of this peer; one that is malformed is counted and ignored."""
        try:
            packet = parse(datagram)
        except PacketError:
            self.malformed += 1
            return
        self._heard = now
        if isinstance(packet, DataPacket):
            self._media(packet, now)
        else:
            self._control(packet, now)

    def tick(self, now: float) -> None:
        """Every ten milliseconds: acknowledge, ask again, give up what is too late, keep the peer alive."""
        if now - self._heard > SILENCE_SECONDS:
            self.closed = True
            return
        self._hand_on(now)
        if now - self._ack_at >= ACK_SECONDS and self.receiver.acknowledged != self._acked:
            self._acknowledge(now)
        self._ask(self.receiver.overdue(now, max(_MIN_NAK_SECONDS, self._rtt + 2 * self._variance)), now)
        if now - self._spoke >= KEEPALIVE_SECONDS:
            self._say(Control.KEEPALIVE, now)

    def close(self, now: float) -> None:
        """Say goodbye."""
        if not self.closed:
            self._say(Control.SHUTDOWN, now)
        self.closed = True

    def _media(self, packet: DataPacket, now: float) -> None:
        payload: bytes | None = packet.payload
        if self._decryptor:
            # Plain media on an encrypted connection is somebody else's.
            payload = self._decryptor.decrypt(packet.sequence, packet.key, packet.payload) if packet.key else None
        elif packet.key:
            payload = None
        if payload is None:
            self.undecryptable += 1
            return
        opened = self.receiver.take(packet.sequence, payload, now)
        self._ask(opened, now)
        self._since_ack += 1
        if self._since_ack >= _LIGHT_ACK_PACKETS:
            self._since_ack = 0
            self._say(Control.ACK, now, body=struct.pack(">I", self.receiver.acknowledged))
        self._hand_on(now)

    def _control(self, packet: ControlPacket, now: float) -> None:
        if packet.kind is Control.ACKACK:
            self._measure(packet.info, now)
        elif packet.kind is Control.SHUTDOWN:
            self.closed = True
        elif packet.kind is Control.DROPREQ and len(packet.body) >= 8:
            first, last = struct.unpack_from(">II", packet.body)
            self.receiver.forget(first & 0x7FFFFFFF, last & 0x7FFFFFFF)
        elif packet.kind is Control.USER and packet.subtype == _KEY_REQUEST:
            self._new_key(packet.body, now)

    def _new_key(self, message: bytes, now: float) -> None:
        """Keys are refreshed on the way; the receipt is the message itself."""
        if self._decryptor is None:
            return
        try:
            self._decryptor.update(cipher.unwrap(message, self._passphrase))
        except (BadSecret, KeyMessageError):
            self.malformed += 1
            return
        self._say(Control.USER, now, subtype=_KEY_RESPONSE, body=message)

    def _hand_on(self, now: float) -> None:
        pieces = self.receiver.deliver(now)
        if pieces:
            self._deliver(b"".join(pieces))

    def _acknowledge(self, now: float) -> None:
        self._ack_number = self._ack_number % 0xFFFFFFFF + 1
        self._acked, self._ack_at, self._since_ack = self.receiver.acknowledged, now, 0
        if len(self._acks) >= _MAX_PENDING_ACKS:
            del self._acks[next(iter(self._acks))]
        self._acks[self._ack_number] = now
        rtt, variance = round(self._rtt * 1e6), round(self._variance * 1e6)
        body = struct.pack(">7I", self._acked, rtt, variance, max(2, self.receiver.space), 0, 0, 0)
        self._say(Control.ACK, now, info=self._ack_number, body=body)

    def _measure(self, number: int, now: float) -> None:
        sent = self._acks.pop(number, None)
        if sent is None:
            return
        sample = now - sent
        if not self._measured:
            self._measured, self._rtt, self._variance = True, sample, sample / 2
            return
        self._variance += (abs(sample - self._rtt) - self._variance) / 4
        self._rtt += (sample - self._rtt) / 8

    def _ask(self, gaps: list[tuple[int, int]], now: float) -> None:
        if gaps:
            self.retransmits_asked += len(gaps)
            self._say(Control.NAK, now, body=pack_ranges(gaps))

    def _say(self, kind: Control, now: float, *, info: int = 0, subtype: int = 0, body: bytes = b"\0\0\0\0") -> None:
        self._spoke = now
        stamp = round((now - self._began) * 1e6)
        self._send(pack(kind, to=self._remote, timestamp=stamp, info=info, subtype=subtype, body=body))
