"""The picture size and frame rate that an H.264 sequence parameter set declares; free of IO.

Source: ITU-T H.264, 7.3.2.1.1 and annex E. Only what comes before and inside the VUI timing is read.
"""

from dataclasses import dataclass

_CHROMA_PROFILES = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
_EXTENDED_SAR = 255
_MAX_ZEROS = 32


class SpsError(ValueError):
    """The bytes are no sequence parameter set."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Cropped size in pixels; `fps` is None when the stream does not say."""

    width: int
    height: int
    fps: float | None


def picture_from_configuration(record: bytes) -> Picture:
    """The picture of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1)."""
    if len(record) < 8 or record[0] != 1 or record[5] & 0x1F < 1:
        raise SpsError("no AVC decoder configuration")
    size = int.from_bytes(record[6:8], "big")
    if size < 4 or len(record) < 8 + size:
        raise SpsError("truncated parameter set")
    return parse_sps(record[8 : 8 + size])


def parse_sps(nal: bytes) -> Picture:
    """The picture of a sequence parameter set NAL unit."""
    bits = _Bits(nal[1:].replace(b"\x00\x00\x03", b"\x00\x00"))
    profile = bits.read(8)
    bits.read(16)
    bits.golomb()
    chroma_format, separate = 1, 0
    if profile in _CHROMA_PROFILES:
        chroma_format, separate = _chroma(bits)
    bits.golomb()
    _order_count(bits)
    bits.golomb()
    bits.read(1)
    width_mbs = bits.golomb() + 1
    height_units = bits.golomb() + 1
    frame_mbs_only = bits.read(1)
    if not frame_mbs_only:
        bits.read(1)
    bits.read(1)
    left = right = top = bottom = 0
    if bits.read(1):
        left, right, top, bottom = (bits.golomb() for _ in range(4))
    array_type = 0 if separate else chroma_format
    unit_x = 2 if array_type in (1, 2) else 1
    unit_y = (2 if array_type == 1 else 1) * (2 - frame_mbs_only)
    width = width_mbs * 16 - unit_x * (left + right)
    height = height_units * 16 * (2 - frame_mbs_only) - unit_y * (top + bottom)
    if not (16 <= width <= 16_384 and 16 <= height <= 16_384):
        raise SpsError(f"picture of {width}x{height}")
    return Picture(width, height, _frame_rate(bits))


def _chroma(bits: "_Bits") -> tuple[int, int]:
    chroma_format = bits.golomb()
    separate = bits.read(1) if chroma_format == 3 else 0
    bits.golomb()
    bits.golomb()
    bits.read(1)
    if bits.read(1):
        for index in range(8 if chroma_format != 3 else 12):
            if bits.read(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return chroma_format, separate


def _skip_scaling_list(bits: "_Bits", size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb()) % 256
        last = following or last


def _order_count(bits: "_Bits") -> None:
    kind = bits.golomb()
    if kind == 0:
        bits.golomb()
    elif kind == 1:
        bits.read(1)
        bits.signed_golomb()
        bits.signed_golomb()
        for _ in range(min(bits.golomb(), 255)):
            bits.signed_golomb()


def _frame_rate(bits: "_Bits") -> float | None:
    if not bits.read(1):
        return None
    if bits.read(1) and bits.read(8) == _EXTENDED_SAR:
        bits.read(32)
    if bits.read(1):
        bits.read(1)
    if bits.read(1):
        bits.read(4)
        if bits.read(1):
            bits.read(24)
    if bits.read(1):
        bits.golomb()
        bits.golomb()
    if not bits.read(1):
        return None
    units, scale = bits.read(32), bits.read(32)
    rate = scale / (2 * units) if units else 0.0
    return rate if 1 <= rate <= 240 else None


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def read(self, count: int) -> int:
        if count > self._left:
            raise SpsError("truncated parameter set")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def golomb(self) -> int:
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > _MAX_ZEROS:
                raise SpsError("no Exp-Golomb code")
        return (1 << zeros) - 1 + self.read(zeros)

    def signed_golomb(self) -> int:
        code = self.golomb()
        return (code + 1) // 2 if code & 1 else -(code // 2)
