"""How many bytes of an H.264 slice are its header, which common encryption leaves clear; free of IO.

Players' decoders read slice headers before anything is decrypted, so they must stay readable to the bit. Source: ITU-T
H.264, 7.3.2.1 (SPS), 7.3.2.2 (PPS), 7.3.3 (slice header).
"""

from dataclasses import dataclass

_CHROMA_PROFILES = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
_P, _B, _I, _SP, _SI = range(5)
IDR = 5
SLICE_TYPES = (1, IDR)


class SliceError(ValueError):
    """The bytes are no parameter sets or no slice."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a slice header's length depends on."""

    frame_number_bits: int
    order_type: int
    order_bits: int
    delta_order_always_zero: bool
    frame_only: bool
    chroma_array: int
    separate_planes: bool
    cabac: bool
    bottom_order: bool
    references: tuple[int, int]
    weighted: bool
    bipred: int
    deblocking: bool
    redundant: bool


class Bits:
    """Reads a NAL unit's payload bit by bit; `bytes_read` counts the bytes before emulation prevention was removed."""

    def __init__(self, nal: bytes) -> None:
        self._nal = nal
        self._byte = 0
        self._bit = 0
        self._zeros = 0

    @property
    def bytes_read(self) -> int:
        """Bytes of the NAL unit that were touched."""
        return self._byte + (1 if self._bit else 0)

    def flag(self) -> int:
        """One bit."""
        if self._bit == 0:
            if self._zeros >= 2 and self._byte < len(self._nal) and self._nal[self._byte] == 3:
                self._byte, self._zeros = self._byte + 1, 0
            if self._byte >= len(self._nal):
                raise SliceError("truncated")
            self._zeros = self._zeros + 1 if self._nal[self._byte] == 0 else 0
        value = self._nal[self._byte] >> (7 - self._bit) & 1
        self._bit += 1
        if self._bit == 8:
            self._bit, self._byte = 0, self._byte + 1
        return value

    def read(self, count: int) -> int:
        """`count` bits as a number."""
        value = 0
        for _ in range(count):
            value = value << 1 | self.flag()
        return value

    def golomb(self) -> int:
        """An unsigned Exp-Golomb code."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > 32:
                raise SliceError("no Exp-Golomb code")
        return (1 << zeros) - 1 + self.read(zeros)


def parameters(record: bytes) -> Parameters:
    """The parameters in an AVCDecoderConfigurationRecord with one SPS and one PPS; SliceError otherwise."""
    try:
        if record[4] & 3 != 3 or record[5] & 0x1F != 1:
            raise SliceError("NAL lengths of four bytes and one SPS are needed")
        size = int.from_bytes(record[6:8], "big")
        sps = record[8 : 8 + size]
        if record[8 + size] != 1:
            raise SliceError("one PPS is needed")
        at = 9 + size
        pps = record[at + 2 : at + 2 + int.from_bytes(record[at : at + 2], "big")]
    except IndexError as error:
        raise SliceError("truncated decoder configuration") from error
    return _parameters(Bits(sps[1:]), Bits(pps[1:]))


def _parameters(sps: Bits, pps: Bits) -> Parameters:
    profile = sps.read(8)
    sps.read(16)
    sps.golomb()
    chroma, separate = 1, 0
    if profile in _CHROMA_PROFILES:
        chroma = sps.golomb()
        separate = sps.flag() if chroma == 3 else 0
        sps.golomb()
        sps.golomb()
        sps.flag()
        if sps.flag():
            raise SliceError("scaling matrices are not expected")
    frame_number_bits = sps.golomb() + 4
    order_type = sps.golomb()
    order_bits, always_zero = 0, 0
    if order_type == 0:
        order_bits = sps.golomb() + 4
    elif order_type == 1:
        always_zero = sps.flag()
        sps.golomb()
        sps.golomb()
        for _ in range(min(sps.golomb(), 255)):
            sps.golomb()
    sps.golomb()
    sps.flag()
    sps.golomb()
    sps.golomb()
    frame_only = sps.flag()
    pps.golomb()
    pps.golomb()
    cabac, bottom = pps.flag(), pps.flag()
    if pps.golomb():
        raise SliceError("slice groups are not expected")
    references = (pps.golomb() + 1, pps.golomb() + 1)
    weighted, bipred = pps.flag(), pps.read(2)
    for _ in range(3):
        pps.golomb()
    deblocking, _, redundant = pps.flag(), pps.flag(), pps.flag()
    return Parameters(
        frame_number_bits=frame_number_bits,
        order_type=order_type,
        order_bits=order_bits,
        delta_order_always_zero=bool(always_zero),
        frame_only=bool(frame_only),
        chroma_array=0 if separate else chroma,
        separate_planes=bool(separate),
        cabac=bool(cabac),
        bottom_order=bool(bottom),
        references=references,
        weighted=bool(weighted),
        bipred=bipred,
        deblocking=bool(deblocking),
        redundant=bool(redundant),
    )


def header_bytes(nal: bytes, given: Parameters) -> int:
    """Bytes of a slice NAL unit (its one-byte NAL header included) up to the end of the slice header."""
    bits, idr, reference = Bits(nal[1:]), nal[0] & 0x1F == IDR, nal[0] >> 5 & 3
    bits.golomb()
    kind = bits.golomb() % 5
    bits.golomb()
    if given.separate_planes:
        bits.read(2)
    bits.read(given.frame_number_bits)
    field = 0
    if not given.frame_only:
        field = bits.flag()
        if field:
            bits.flag()
    if idr:
        bits.golomb()
    _order(bits, given, field)
    if given.redundant:
        bits.golomb()
    if kind == _B:
        bits.flag()
    references = given.references
    if kind in (_P, _SP, _B) and bits.flag():
        references = (bits.golomb() + 1, bits.golomb() + 1 if kind == _B else 0)
    for _ in range(2 if kind == _B else 1 if kind in (_P, _SP) else 0):
        _reordering(bits)
    if (given.weighted and kind in (_P, _SP)) or (given.bipred == 1 and kind == _B):
        _weights(bits, given, references if kind == _B else (references[0], 0))
    if reference:
        _marking(bits, idr=idr)
    if given.cabac and kind not in (_I, _SI):
        bits.golomb()
    bits.golomb()
    if kind in (_SP, _SI):
        if kind == _SP:
            bits.flag()
        bits.golomb()
    if given.deblocking and bits.golomb() != 1:
        bits.golomb()
        bits.golomb()
    return 1 + bits.bytes_read


def _order(bits: Bits, given: Parameters, field: int) -> None:
    if given.order_type == 0:
        bits.read(given.order_bits)
        if given.bottom_order and not field:
            bits.golomb()
    elif given.order_type == 1 and not given.delta_order_always_zero:
        bits.golomb()
        if given.bottom_order and not field:
            bits.golomb()


def _reordering(bits: Bits) -> None:
    if bits.flag():
        while bits.golomb() != 3:
            bits.golomb()


def _weights(bits: Bits, given: Parameters, references: tuple[int, int]) -> None:
    bits.golomb()
    if given.chroma_array:
        bits.golomb()
    for _ in range(sum(references)):
        if bits.flag():
            bits.golomb()
            bits.golomb()
        if given.chroma_array and bits.flag():
            for _ in range(4):
                bits.golomb()


def _marking(bits: Bits, *, idr: bool) -> None:
    if idr:
        bits.read(2)
        return
    if not bits.flag():
        return
    while (operation := bits.golomb()) != 0:
        if operation in (1, 2, 3, 4, 6):
            bits.golomb()
        if operation == 3:
            bits.golomb()
