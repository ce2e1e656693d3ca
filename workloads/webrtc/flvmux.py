"""What publishers send, as FLV payloads (Adobe FLV 10.1, E.4; ISO/IEC 14496-15); free of IO."""

import struct
from collections.abc import Sequence

_SPS, _PPS = 7, 8
_AVC_KEY, _AVC_INTER = 0x17, 0x27
_AAC = b"\xaf"


def avc_configuration(sets: Sequence[bytes]) -> bytes | None:
    """An AVCDecoderConfigurationRecord of parameter sets, None when one kind is missing."""
    sequences = [unit for unit in sets if unit[0] & 0x1F == _SPS and len(unit) >= 4]
    pictures = [unit for unit in sets if unit[0] & 0x1F == _PPS]
    if not sequences or not pictures:
        return None
    record = b"\x01" + sequences[0][1:4] + b"\xff" + bytes((0xE0 | len(sequences[:31]),))
    record += b"".join(struct.pack(">H", len(unit)) + unit for unit in sequences[:31])
    record += bytes((len(pictures[:255]),))
    return record + b"".join(struct.pack(">H", len(unit)) + unit for unit in pictures[:255])


def avc_header(record: bytes) -> bytes:
    """The tag payload that configures the decoder."""
    return bytes((_AVC_KEY, 0, 0, 0, 0)) + record


def avc_picture(units: Sequence[bytes], *, key: bool) -> bytes:
    """The tag payload of one picture without reordering."""
    head = bytes((_AVC_KEY if key else _AVC_INTER, 1, 0, 0, 0))
    return head + b"".join(struct.pack(">I", len(unit)) + unit for unit in units)


def aac_header(configuration: bytes) -> bytes:
    """The tag payload that configures the decoder of sound."""
    return _AAC + b"\x00" + configuration


def aac_frame(data: bytes) -> bytes:
    """The tag payload of one AAC frame."""
    return _AAC + b"\x01" + data


def split_annex_b(data: bytes) -> list[bytes]:
    """NAL units of a byte stream with start codes."""
    units = []
    for piece in data.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01"):
        if piece:
            units.append(piece)
    return units
