"""What goes on the wire to one viewer: real encryption, decrypted by the other side's real session."""

import socket
import struct
from collections.abc import Iterator

import pytest

from workloads.webrtc.outlet import Outlet, Wide
from workloads.webrtc.packets import Frame, RtpHeader, parse_header
from workloads.webrtc.port import UdpPort, open_port
from workloads.webrtc.srtp import PROFILES, Inbound, Outbound, Profile, Scratch

ELEMENT = 4


class Wire:
    """An outlet, and the viewer's end of the network."""

    def __init__(self, port: UdpPort, profile: Profile, *, rtx: bool = True) -> None:
        key = bytes(range(profile.key + profile.salt))
        self.cipher, self._inbound = Outbound(profile, key), Inbound(profile, key)
        self.viewer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.viewer.bind(("127.0.0.1", 0))
        self.viewer.setblocking(False)
        self.address = self.viewer.getsockname()
        self.wide = Wide()
        self.outlet = Outlet(
            port,
            Scratch(100_000),
            self.wide,
            ssrc=11,
            payload_type=102,
            element=ELEMENT,
            rtx=(12, 103) if rtx else None,
            first_number=0xFFFE,
        )

    def send(self, frame: Frame, now: float = 1.0) -> None:
        assert self.outlet.send(frame, frame.time, now, self.cipher, self.address)

    def resend(self, numbers: list[int], now: float) -> int:
        return self.outlet.resend(numbers, now, self.cipher, self.address)

    def datagrams(self) -> Iterator[bytes]:
        while True:
            try:
                yield self.viewer.recv(2048)
            except BlockingIOError:
                return

    def packets(self) -> list[tuple[RtpHeader, bytes]]:
        found = []
        for datagram in self.datagrams():
            plain = self._inbound.rtp(datagram)
            header = parse_header(plain)
            assert header is not None
            found.append((header, plain[header.start : header.end]))
        return found


def frame(time: int, *sizes: int) -> Frame:
    return Frame(time, True, tuple(bytes((index % 255 + 1,)) * size for index, size in enumerate(sizes)))


@pytest.fixture(params=PROFILES, ids=lambda profile: profile.openssl.decode())
async def wire(request: pytest.FixtureRequest) -> Wire:
    return Wire(open_port("127.0.0.1", 0), request.param)


@pytest.mark.parametrize("segments", [True, False])
async def test_packets_arrive_as_they_were_cut(wire: Wire, segments: bool) -> None:
    wire.outlet._port.segments &= segments
    wire.send(frame((1 << 32) + 5, 40, 900, 900, 900, 700))
    wire.send(frame((1 << 32) + 6, 100))
    found = wire.packets()
    assert [len(payload) for _, payload in found] == [40, 900, 900, 900, 700, 100]
    assert [header.number for header, _ in found] == [0xFFFE, 0xFFFF, 0, 1, 2, 3]
    assert [header.stamp for header, _ in found] == [5] * 5 + [6]
    assert [header.marker for header, _ in found] == [False] * 4 + [True, True]
    assert {(header.ssrc, header.payload_type) for header, _ in found} == {(11, 102)}
    assert [header.extensions[ELEMENT] for header, _ in found] == [struct.pack(">H", n) for n in range(1, 7)]


async def test_lost_packets_come_again_on_their_own_source(wire: Wire) -> None:
    wire.send(frame(7, 500, 600))
    first = wire.packets()
    assert wire.resend([0xFFFF, 0x1234], 2.0) == 1
    ((header, payload),) = wire.packets()
    assert (header.ssrc, header.payload_type, header.stamp, header.marker) == (12, 103, 7, True)
    assert payload[:2] == b"\xff\xff"
    assert payload[2:] == first[1][1]
    assert wire.resend([0xFFFF], 2.01) == 0, "a second request within the round trip is the same one"
    assert wire.resend([0xFFFF], 2.05) == 1


async def test_without_a_retransmission_type_the_very_same_packet_comes(wire: Wire) -> None:
    plain = Wire(wire.outlet._port, PROFILES[0], rtx=False)
    plain.send(frame(7, 500, 600, 600))
    plain.send(frame(8, 500))
    before = list(plain.datagrams())
    assert plain.resend([0, 0xFFFE], 2.0) == 2
    # Another content under the same number would give the key away.
    assert list(plain.datagrams()) == [before[2], before[0]]


async def test_what_is_long_gone_is_not_sent_again(wire: Wire) -> None:
    for number in range(400):
        wire.send(frame(number, 10))
        wire.packets()
    assert wire.resend([0xFFFE], 2.0) == 0
    assert wire.resend([(0xFFFE + 399) & 0xFFFF], 2.0) == 1
    assert wire.resend([(0xFFFE + 400) & 0xFFFF], 2.0) == 0, "not sent yet"


async def test_resending_is_bounded(wire: Wire) -> None:
    wire.send(frame(1, *[10] * 600))
    assert wire.resend([(0xFFFE + index) & 0xFFFF for index in range(600)], 2.0) == 400
    wire.outlet.second()
    assert wire.resend([(0xFFFE + 599) & 0xFFFF], 2.0) == 1


def test_times_of_departure_are_remembered_for_a_while() -> None:
    wide = Wide()
    for second in range(1000):
        assert wide.take(100, float(second), 30 + second) == 1 + 100 * second
    last = 1000 * 100
    assert wide.sent(last & 0xFFFF) == (999.0, 1029)
    assert wide.sent((last - 100) & 0xFFFF) == (998.0, 1028)
    assert wide.sent((last + 1) & 0xFFFF) is None, "never sent"
    assert wide.sent((last - 40_000) & 0xFFFF) is None, "long ago"
