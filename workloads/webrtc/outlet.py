"""One viewer's copy of a track on the wire: own numbers, own keys, the shared payload. This is the hot path.

A frame costs a viewer one memory move and one system call a run, and a header and an encryption a packet; nothing else
is allocated. What was sent is remembered as references to shared frames, so that lost packets are made again from them.
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

HISTORY: Final = 1024
_KEPT_FRAMES, _MAX_FRAMES = 150, 300
_RESEND_PAUSE_SECONDS = 0.03
_MAX_RESENDS_PER_SECOND = 400


class Wide:
    """Transport-wide numbers of one viewer (all its tracks): when each of the last packets left, and its size."""

    def __init__(self) -> None:
        self.next = 1
        self.times = [0.0] * HISTORY
        self.sizes = [0] * HISTORY

    def sent(self, number: int) -> tuple[float, int] | None:
        """(time, size) of the packet with this 16-bit number, None when it is too old or was never sent."""
        age = (self.next - number) & 0xFFFF
        if not 0 < age < HISTORY or age >= self.next:
            return None
        place = (self.next - age) % HISTORY
        return self.times[place], self.sizes[place]


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
        self._sent: list[tuple[Frame, int, int]] = []
        self._again: dict[int, float] = {}
        self._resends_left = _MAX_RESENDS_PER_SECOND

    def send(self, frame: Frame, stamp: int, now: float, cipher: Outbound, address: Address) -> bool:
        """All packets of a frame; `stamp` is an RTP timestamp without wrap. False when some were not sent."""
        scratch, wide, port = self._scratch, self._wide, self._port
        data, view, base, length = scratch.data, scratch.view, scratch.base, scratch.length
        protect, handle = cipher.protect, cipher.handle
        pack_into, element, ssrc, kind = HEADER.pack_into, self._element, self.ssrc, self._payload_type
        number, counter, times, sizes = self._next, wide.next, wide.times, wide.sizes
        low_stamp = stamp & 0xFFFFFFFF
        self._remember(frame, stamp, number, counter)
        whole = True
        for run in frame.runs(cipher.tag_bytes):
            size = len(run.data)
            view[:size] = run.data
            for at, bytes_, bits in run.packets:
                wire = counter & 0xFFFF if element else 0
                head = number & 0xFFFF
                pack_into(data, at, bits | kind, head, low_stamp, ssrc, EXTENSION_PROFILE, 1, element, wire, 0)
                length[0] = bytes_
                if protect(handle, base + at, length):
                    whole = False
                times[counter % HISTORY], sizes[counter % HISTORY] = now, bytes_
                number += 1
                counter += 1
            whole = port.send_group(view[:size], run.segment, len(run.packets), address) and whole
        self.packets += number - self._next
        self.octets += frame.size
        self._next, wide.next, self.last_stamp = number, (counter if element else wide.next), stamp
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
        self._sent.append((frame, stamp, counter))
        if len(self._firsts) > _MAX_FRAMES:
            del self._firsts[:-_KEPT_FRAMES]
            del self._sent[:-_KEPT_FRAMES]

    def _again_packet(self, low: int, now: float) -> bytes | None:
        """The packet with the 16-bit number `low` once more (RFC 4588, 4), None when it is forgotten or never was."""
        number = self._next - ((self._next - low) & 0xFFFF)
        place = bisect_right(self._firsts, number) - 1
        if place < 0 or number >= self._next:
            return None
        frame, stamp, counter = self._sent[place]
        index = number - self._firsts[place]
        bits = frame.first_bits(index)
        if self._rtx is None:
            wire = (counter + index) & 0xFFFF if self._element else 0
            return self._header(bits | self._payload_type, low, stamp, self.ssrc, wire) + frame.pieces[index]
        ssrc, payload_type = self._rtx
        wire = self._wide.next & 0xFFFF if self._element else 0
        size = HEADER_BYTES + 2 + len(frame.pieces[index])
        if self._element:
            place = self._wide.next % HISTORY
            self._wide.times[place], self._wide.sizes[place] = now, size
            self._wide.next += 1
        head = self._header(bits | payload_type, self._rtx_next & 0xFFFF, stamp, ssrc, wire)
        self._rtx_next += 1
        return head + struct.pack(">H", low) + frame.pieces[index]

    def _header(self, bits: int, number: int, stamp: int, ssrc: int, wire: int) -> bytes:
        return HEADER.pack(bits, number, stamp & 0xFFFFFFFF, ssrc, EXTENSION_PROFILE, 1, self._element, wire, 0)
