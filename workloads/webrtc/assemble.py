"""Pictures out of RTP packets: H.264 (RFC 6184) and VP8 (RFC 7741); free of IO.

Packets come in order (`reorder`). A picture of which something is missing is dropped, and so is all that needs it: up
to the next key frame.
"""

from dataclasses import dataclass
from typing import Protocol

from workloads.webrtc.packets import RtpHeader

MAX_PICTURE_BYTES = 8 * 1024 * 1024
_IDR, _SEI, _SPS, _PPS, _DELIMITER = 5, 6, 7, 8, 9
_STAP_A, _FU_A = 24, 28


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture: NAL units of H.264, or one VP8 frame. `sets` are the parameter sets in it."""

    stamp: int
    key: bool
    units: tuple[bytes, ...]
    sets: tuple[bytes, ...] = ()


class Assembler(Protocol):
    """Makes pictures of one codec."""

    waiting: bool

    def push(self, header: RtpHeader, payload: bytes, *, after_loss: bool) -> list[Picture]:
        """The pictures that a packet completes."""
        ...


class H264Assembler:
    """`waiting` while only a key frame can help."""

    def __init__(self) -> None:
        self.waiting = True
        self._units: list[bytes] = []
        self._size = 0
        self._stamp = -1
        self._fragment = bytearray()
        self._broken = False

    def push(self, header: RtpHeader, payload: bytes, *, after_loss: bool) -> list[Picture]:
        """The pictures that a packet completes."""
        pictures: list[Picture] = []
        if header.stamp != self._stamp:
            # Without a marker the next picture's beginning is the end of this one.
            if self._units and not after_loss:
                pictures += self._finish()
            self._forget()
            self._stamp = header.stamp
        if after_loss:
            # What is lost may belong to this picture too, unless parameter sets show that this is its beginning.
            self.waiting = True
            self._fragment.clear()
            self._broken = not _begins_key_picture(payload)
        self._take(payload)
        if self._size > MAX_PICTURE_BYTES:
            self._broken = True
        if header.marker:
            pictures += self._finish()
            self._forget()
        return pictures

    def _take(self, payload: bytes) -> None:
        if not payload:
            return
        kind = payload[0] & 0x1F
        if 1 <= kind <= 23:
            self._add(payload)
        elif kind == _STAP_A:
            at = 1
            while len(payload) - at > 2:
                size = int.from_bytes(payload[at : at + 2], "big")
                unit = payload[at + 2 : at + 2 + size]
                if not size or len(unit) != size:
                    self._broken = True
                    return
                self._add(unit)
                at += 2 + size
        elif kind == _FU_A and len(payload) > 2:
            self._take_fragment(payload)
        else:
            self._broken = True

    def _take_fragment(self, payload: bytes) -> None:
        head = payload[1]
        if head & 0x80:
            self._fragment = bytearray((payload[0] & 0xE0 | head & 0x1F,))
        elif not self._fragment:
            self._broken = True
            return
        self._fragment += payload[2:]
        if len(self._fragment) > MAX_PICTURE_BYTES:
            self._broken = True
            self._fragment.clear()
        elif head & 0x40:
            self._add(bytes(self._fragment))
            self._fragment.clear()

    def _add(self, unit: bytes) -> None:
        self._units.append(unit)
        self._size += len(unit)

    def _finish(self) -> list[Picture]:
        kinds = {unit[0] & 0x1F for unit in self._units}
        if self._fragment or self._broken:
            self.waiting = True
            return []
        key = _IDR in kinds
        if key:
            self.waiting = False
        slices = tuple(unit for unit in self._units if unit[0] & 0x1F not in (_SPS, _PPS, _SEI, _DELIMITER))
        sets = tuple(unit for unit in self._units if unit[0] & 0x1F in (_SPS, _PPS))
        if not slices or self.waiting:
            # Parameter sets alone belong to the key frame that follows.
            return [Picture(self._stamp, False, (), sets)] if sets else []
        return [Picture(self._stamp, key, slices, sets)]

    def _forget(self) -> None:
        self._units, self._size, self._broken = [], 0, False
        self._fragment.clear()


def _begins_key_picture(payload: bytes) -> bool:
    kind = payload[0] & 0x1F if payload else 0
    return kind == _SPS or (kind == _STAP_A and len(payload) > 3 and payload[3] & 0x1F == _SPS)


class Vp8Assembler:
    """`waiting` while only a key frame can help."""

    def __init__(self) -> None:
        self.waiting = True
        self._data = bytearray()
        self._stamp = -1
        self._begun = False

    def push(self, header: RtpHeader, payload: bytes, *, after_loss: bool) -> list[Picture]:
        """The picture that a packet completes."""
        body, begins = strip_descriptor(payload)
        if after_loss:
            self.waiting = True
        if header.stamp != self._stamp or after_loss:
            self._data.clear()
            self._stamp, self._begun = header.stamp, False
        if begins and not self._data:
            self._begun = True
        if not self._begun or len(self._data) + len(body) > MAX_PICTURE_BYTES:
            self.waiting = True
            return []
        self._data += body
        if not header.marker or not self._data:
            return []
        data, self._begun = bytes(self._data), False
        self._data.clear()
        key = not data[0] & 1
        if key:
            self.waiting = False
        return [] if self.waiting else [Picture(header.stamp, key, (data,))]


def strip_descriptor(payload: bytes) -> tuple[bytes, bool]:
    """A VP8 payload without its descriptor (RFC 7741, 4.2), and whether a picture begins in it; empty when broken."""
    if not payload:
        return b"", False
    first, at = payload[0], 1
    if first & 0x80:
        if len(payload) < 2:
            return b"", False
        flags = payload[1]
        at = 2
        if flags & 0x80:
            at += 2 if len(payload) > at and payload[at] & 0x80 else 1
        at += (1 if flags & 0x40 else 0) + (1 if flags & 0x30 else 0)
    return payload[at:], bool(first & 0x10) and not first & 0x07
