"""HEVC parameter sets: what they say about the picture, and the decoder configuration that is made of them; free of IO.

Source: ITU-T H.265, 7.3.2.2 and 7.3.3; ISO/IEC 14496-15, 8.3.3.1. Fields behind the bit depths are not needed and not
read.
"""

import struct
from dataclasses import dataclass

VPS, SPS, PPS, AUD = 32, 33, 34, 35
_IRAP = range(16, 24)
_MAX_ZEROS = 32
_SUBSAMPLING = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}


class SpsError(ValueError):
    """The bytes are no sequence parameter set."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """What a sequence parameter set says: profile, tier and level as they stand, chroma, depths, cropped size."""

    profile: bytes
    sub_layers: int
    nested: int
    chroma: int
    luma_depth: int
    chroma_depth: int
    width: int
    height: int


def unit_type(unit: bytes) -> int:
    """Type of a NAL unit."""
    return unit[0] >> 1 & 0x3F


def is_random_access(unit: bytes) -> bool:
    """Whether a decoder can begin at this slice."""
    return unit_type(unit) in _IRAP


def parse_sps(unit: bytes) -> Sequence:
    """Read a sequence parameter set; SpsError when it is none."""
    body = unit[2:].replace(b"\0\0\3", b"\0\0")
    if len(body) < 14 or unit_type(unit) != SPS:
        raise SpsError("truncated parameter set")
    bits = _Bits(body)
    bits.read(4)
    layers, nested = bits.read(3), bits.read(1)
    bits.read(96)
    _skip_layers(bits, layers)
    bits.golomb()
    chroma = bits.golomb()
    if chroma not in _SUBSAMPLING:
        raise SpsError(f"chroma format {chroma}")
    if chroma == 3:
        bits.read(1)
    width, height = bits.golomb(), bits.golomb()
    if bits.read(1):
        left, right, top, bottom = (bits.golomb() for _ in range(4))
        across, down = _SUBSAMPLING[chroma]
        width, height = width - across * (left + right), height - down * (top + bottom)
    luma, colour = bits.golomb(), bits.golomb()
    if not (16 <= width <= 16_384 and 16 <= height <= 16_384) or luma > 8 or colour > 8:
        raise SpsError(f"picture of {width}x{height} with {luma + 8} bits")
    return Sequence(body[1:13], layers + 1, nested, chroma, luma + 8, colour + 8, width, height)


def configuration(sets: dict[int, bytes], sequence: Sequence) -> bytes:
    """HEVCDecoderConfigurationRecord of one VPS, SPS and PPS each; lengths in frames have four bytes."""
    head = b"\x01" + sequence.profile + b"\xf0\x00\xfc"
    head += bytes((0xFC | sequence.chroma, 0xF8 | sequence.luma_depth - 8, 0xF8 | sequence.chroma_depth - 8))
    head += b"\0\0" + bytes((sequence.sub_layers << 3 | sequence.nested << 2 | 3, 3))
    arrays = (bytes((0x80 | kind,)) + struct.pack(">HH", 1, len(sets[kind])) + sets[kind] for kind in (VPS, SPS, PPS))
    return head + b"".join(arrays)


def _skip_layers(bits: "_Bits", count: int) -> None:
    flags = [(bits.read(1), bits.read(1)) for _ in range(count)]
    if count:
        bits.read(2 * (8 - count))
    for profile, level in flags:
        bits.read(88 * profile + 8 * level)


class _Bits:
    """Bits from the left; SpsError past the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def read(self, count: int) -> int:
        """The next `count` bits as a number."""
        self._left -= count
        if self._left < 0:
            raise SpsError("truncated parameter set")
        return self._value >> self._left & ((1 << count) - 1)

    def golomb(self) -> int:
        """The next ue(v)."""
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > _MAX_ZEROS:
                raise SpsError("no number")
        return (1 << zeros) - 1 + self.read(zeros)
