"""Codec strings of RFC 6381, read from the sample description of an init segment; free of IO.

A playlist that promises a wrong codec makes players refuse a stream that they could decode, so nothing is assumed.
"""

from workloads.common.cmaf import boxes
from workloads.common.cmaf.boxes import Box, BoxError

_VISUAL_ENTRY_BYTES = 78
_AUDIO_ENTRY_BYTES = 28
_STSD_HEADER_BYTES = 8
_ES_DESCRIPTOR, _DECODER_CONFIG, _DECODER_SPECIFIC = 0x03, 0x04, 0x05


def codec_string(init: bytes, stbl: Box) -> str:
    """The codec of the track whose sample table is `stbl`, such as `avc1.4d401f` or `mp4a.40.2`."""
    stsd = boxes.find(init, b"stsd", start=stbl.start, end=stbl.end)
    entry = next(boxes.children(init, stsd.start + _STSD_HEADER_BYTES, stsd.end))
    kind = entry.kind.decode("latin-1")
    if entry.kind in (b"avc1", b"avc3"):
        record = boxes.find(init, b"avcC", start=entry.start + _VISUAL_ENTRY_BYTES, end=entry.end)
        return f"{kind}.{init[record.start + 1 : record.start + 4].hex()}"
    if entry.kind == b"mp4a":
        esds = boxes.find(init, b"esds", start=entry.start + _AUDIO_ENTRY_BYTES, end=entry.end)
        return f"mp4a.{_audio_object(init[esds.start + 4 : esds.end])}"
    if entry.kind == b"Opus":
        return "opus"
    raise BoxError(f"no codec string for sample entry {kind}")


def picture_size(init: bytes, stbl: Box) -> tuple[int, int]:
    """Width and height in pixels from a video track's sample entry."""
    stsd = boxes.find(init, b"stsd", start=stbl.start, end=stbl.end)
    entry = next(boxes.children(init, stsd.start + _STSD_HEADER_BYTES, stsd.end))
    return (
        int.from_bytes(init[entry.start + 24 : entry.start + 26], "big"),
        int.from_bytes(init[entry.start + 26 : entry.start + 28], "big"),
    )


def decoder_configuration(init: bytes) -> bytes:
    """What a decoder of the one track has to know first: the AVCDecoderConfigurationRecord of H.264 (ISO/IEC 14496-15,
    5.3.3.1), the AudioSpecificConfig of AAC (ISO/IEC 14496-3, 1.6.2.1); BoxError when there is none."""
    stsd = boxes.find(init, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
    entry = next(boxes.children(init, stsd.start + _STSD_HEADER_BYTES, stsd.end))
    if entry.kind in (b"avc1", b"avc3"):
        record = boxes.find(init, b"avcC", start=entry.start + _VISUAL_ENTRY_BYTES, end=entry.end)
        return init[record.start : record.end]
    if entry.kind == b"mp4a":
        esds = boxes.find(init, b"esds", start=entry.start + _AUDIO_ENTRY_BYTES, end=entry.end)
        _, specific = _decoder_descriptors(init[esds.start + 4 : esds.end])
        if specific:
            return specific
    raise BoxError(f"no decoder configuration in sample entry {entry.kind!r}")


def _audio_object(descriptors: bytes) -> str:
    """`<object type>[.<audio object type>]` from an ES descriptor."""
    object_type, specific = _decoder_descriptors(descriptors)
    return f"{object_type:02x}.{specific[0] >> 3}" if specific else f"{object_type:02x}"


def _decoder_descriptors(descriptors: bytes) -> tuple[int, bytes]:
    """Object type and decoder specific information (empty without) of an ES descriptor (ISO/IEC 14496-1, 7.2.6)."""
    try:
        tag, at, _ = _descriptor(descriptors, 0)
        if tag != _ES_DESCRIPTOR:
            raise BoxError("esds without an ES descriptor")
        flags = descriptors[at + 2]
        at += 3 + (2 if flags & 0x80 else 0) + (2 if flags & 0x20 else 0)
        if flags & 0x40:
            at += 1 + descriptors[at]
        tag, at, _ = _descriptor(descriptors, at)
        if tag != _DECODER_CONFIG:
            raise BoxError("esds without a decoder configuration")
        object_type = descriptors[at]
        tag, at, size = _descriptor(descriptors, at + 13)
        if tag != _DECODER_SPECIFIC:
            return object_type, b""
        if at >= len(descriptors):
            raise BoxError("truncated esds")
        return object_type, descriptors[at : at + size]
    except IndexError as error:
        raise BoxError("truncated esds") from error


def _descriptor(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, offset of the body and size of the descriptor at `at`."""
    tag, size, cursor = data[at], 0, at + 1
    while True:
        byte = data[cursor]
        cursor += 1
        size = size << 7 | byte & 0x7F
        if not byte & 0x80:
            return tag, cursor, size
