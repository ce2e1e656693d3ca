"""One viewer's copy of a track on the wire: own numbers, own keys, the shared payload. This is the hot path.

A frame costs a viewer one memory move and one system call a run, and a header and an encryption a packet; nothing else
is allocated. What was sent is remembered as references to shared frames, so that lost packets are made again from them:
in lists side by side, because a tuple for each frame and viewer would keep the garbage collector busy all the time.
The trap: under one key a packet number must never carry two different contents, not even in its header.
"""

import struct
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from workloads.webrtc.packets import EXTENSION_PROFILE, HEADER, HEADER_BYTES, Frame
from workloads.webrtc.port import UdpPort
from workloads.webrtc.srtp import Outbound, Scratch
from workloads.webrtc.stun import Address

_KEPT_FRAMES: Final = 150
_RESEND_PAUSE_SECONDS = 0.03
_MAX_RESENDS_PER_SECOND = 400


class Wide:
    """Transport-wide numbers of one viewer (all its tracks), and when the packets that bear them left.

    Kept by frame: a packet's own entry would be another cache miss for each packet of each viewer.
    """

    def __init__(self) -> None:
        self.next = 1
        self._firsts: list[int] = []
        self._times: list[float] = []
        self._sizes: list[int] = []

    def take(self, count: int, now: float, size: int) -> int:
        """The first of `count` numbers for packets that leave now, `size` bytes each on average."""
        first = self.next
        self.next = first + count
        self._firsts.append(first)
        self._times.append(now)
        self._sizes.append(size)
        if len(self._firsts) > 2 * _KEPT_FRAMES:
            for kept in (self._firsts, self._times, self._sizes):
                del kept[:-_KEPT_FRAMES]
        return first

    def sent(self, low: int) -> tuple[float, int] | None:
        """(time, size) of the packet with this 16-bit number, None when it is too old or was never sent."""
        age = (self.next - low) & 0xFFFF
        place = bisect_right(self._firsts, self.next - age) - 1
        return (self._times[place], self._sizes[place]) if age and place >= 0 else None


class Outlet:
    """Sends a track's frames to one viewer; `resend` answers NACKs.

    `element` is the identifier of the transport-wide number's extension, 0 without; `rtx` (ssrc, payload type) is where
    retransmissions go, None for the track itself.
    """

    def __init__(
        self,
        port: UdpPort,
        scratch: Scratch,
        wide: Wide,
        *,
        ssrc: int,
        payload_type: int,
        element: int,
        rtx: tuple[int, int] | None,
        first_number: int,
    ) -> None:
        self.ssrc = ssrc
        self.packets = self.octets = self.resent = 0
        self.last_stamp = -1
        self._port, self._scratch, self._wide = port, scratch, wide
        self._payload_type = payload_type
        self._element = element << 4 | 1 if element else 0
        self._rtx = rtx
        self._next = first_number
        self._rtx_next = first_number
        self._firsts: list[int] = []
        self._frames: list[Frame] = []
        self._stamps: list[int] = []
        self._counters: list[int] = []
        self._again: dict[int, float] = {}
        self._resends_left = _MAX_RESENDS_PER_SECOND

    def send(self, frame: Frame, stamp: int, now: float, cipher: Outbound, address: Address) -> bool:
        """All packets of a frame; `stamp` is an RTP timestamp without wrap. False when some were not sent."""
        scratch, port = self._scratch, self._port
        data, view, base, length = scratch.data, scratch.view, scratch.base, scratch.length
        protect, handle, pack_into = cipher.protect, cipher.handle, HEADER.pack_into
        element, ssrc, kind, number = self._element, self.ssrc, self._payload_type, self._next
        count = len(frame.pieces)
        counter = self._wide.take(count, now, HEADER_BYTES + frame.size // count) if element else 0
        step = 1 if element else 0
        low_stamp = stamp & 0xFFFFFFFF
        self._remember(frame, stamp, number, counter)
        whole = True
        for run in frame.runs(cipher.tag_bytes):
            size = len(run.data)
            view[:size] = run.data
            for at, bytes_, bits in run.packets:
                head, wire = number & 0xFFFF, counter & 0xFFFF
                pack_into(data, at, bits | kind, head, low_stamp, ssrc, EXTENSION_PROFILE, 1, element, wire, 0)
                length[0] = bytes_
                if protect(handle, base + at, length):
                    whole = False
                number += 1
                counter += step
            whole = port.send_group(view[:size], run.segment, len(run.packets), address) and whole
        self.packets += count
        self.octets += frame.size
        self._next, self.last_stamp = number, stamp
        return whole

    def second(self) -> None:
        """A second is over: what may be sent again is counted anew."""
        self._resends_left = _MAX_RESENDS_PER_SECOND
        self._again.clear()

    def resend(self, numbers: Sequence[int], now: float, cipher: Outbound, address: Address) -> int:
        """Send again what is still known of these 16-bit numbers, each at most once in 30 ms; how many were sent."""
        count = 0
        for number in numbers:
            if self._resends_left <= 0:
                break
            if now - self._again.get(number, -1e9) < _RESEND_PAUSE_SECONDS:
                continue
            packet = self._again_packet(number, now)
            if packet is not None:
                self._again[number] = now
                self._resends_left -= 1
                self._port.send(cipher.rtp(packet), address)
                count += 1
        self.resent += count
        return count

    def _remember(self, frame: Frame, stamp: int, number: int, counter: int) -> None:
        self._firsts.append(number)
        self._frames.append(frame)
        self._stamps.append(stamp)
        self._counters.append(counter)
        if len(self._firsts) > 2 * _KEPT_FRAMES:
            for kept in (self._firsts, self._frames, self._stamps, self._counters):
                del kept[:-_KEPT_FRAMES]

    def _again_packet(self, low: int, now: float) -> bytes | None:
        """The packet with the 16-bit number `low` once more (RFC 4588, 4), None when it is forgotten or never was."""
        number = self._next - ((self._next - low) & 0xFFFF)
        place = bisect_right(self._firsts, number) - 1
        if place < 0 or number >= self._next:
            return None
        frame, stamp, counter = self._frames[place], self._stamps[place], self._counters[place]
        index = number - self._firsts[place]
        bits = frame.first_bits(index)
        if self._rtx is None:
            wire = (counter + index) & 0xFFFF if self._element else 0
            return self._header(bits | self._payload_type, low, stamp, self.ssrc, wire) + frame.pieces[index]
        ssrc, payload_type = self._rtx
        size = HEADER_BYTES + 2 + len(frame.pieces[index])
        wire = self._wide.take(1, now, size) & 0xFFFF if self._element else 0
        head = self._header(bits | payload_type, self._rtx_next & 0xFFFF, stamp, ssrc, wire)
        self._rtx_next += 1
        return head + struct.pack(">H", low) + frame.pieces[index]

    def _header(self, bits: int, number: int, stamp: int, ssrc: int, wire: int) -> bytes:
        return HEADER.pack(bits, number, stamp & 0xFFFFFFFF, ssrc, EXTENSION_PROFILE, 1, self._element, wire, 0)
