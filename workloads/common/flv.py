"""FLV, the container that ingest and transcoder speak between them: tags in, tags out, and what a tag is; free of IO.

Source: Adobe "Video File Format Specification 10.1", annex E; "Enhanced RTMP" v2 for the extended tag headers, whose
codec is named by four characters. Timestamps are milliseconds, unsigned 32 bits. `TagReader` is fed from the network,
so sizes are bounded.
"""

import struct
from dataclasses import dataclass
from typing import Final

AUDIO: Final = 8
VIDEO: Final = 9
SCRIPT: Final = 18

HEADER: Final = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"
"""File header that announces audio and video, with the zero size of the tag before the first."""

MAX_TAG_BYTES: Final = 16 * 1024 * 1024

_TAG_HEADER_BYTES = 11
_AVC, _AAC = 7, 10
_KEYFRAME = 1
_EX_AUDIO = 9
_EX_SEQUENCE_START, _EX_CODED_FRAMES, _EX_CODED_FRAMES_X = 0, 1, 3
_EX_FRAMES = (_EX_SEQUENCE_START, _EX_CODED_FRAMES, _EX_CODED_FRAMES_X)


class FlvError(ValueError):
    """The bytes are not FLV."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One FLV tag without its framing."""

    kind: int
    timestamp_ms: int
    payload: bytes


def pack_tag(kind: int, timestamp_ms: int, payload: bytes) -> bytes:
    """A tag with its header and the trailing back pointer."""
    size, timestamp = len(payload), timestamp_ms & 0xFFFFFFFF
    return b"".join(
        (
            struct.pack(">II", kind << 24 | size, (timestamp & 0xFFFFFF) << 8 | timestamp >> 24),
            b"\x00\x00\x00",
            payload,
            struct.pack(">I", size + _TAG_HEADER_BYTES),
        )
    )


def is_keyframe(kind: int, payload: bytes) -> bool:
    """Whether a video tag holds a key frame (a sequence header counts: it carries the same flag)."""
    if kind != VIDEO or not payload or (payload[0] >> 4) & 0x07 != _KEYFRAME:
        return False
    return not payload[0] & 0x80 or payload[0] & 0x0F in _EX_FRAMES


def is_sequence_header(kind: int, payload: bytes) -> bool:
    """Whether the tag configures a decoder: AVC, AAC, or the sequence start of an extended header."""
    if len(payload) < 2:
        return False
    first = payload[0]
    if kind == VIDEO:
        if first & 0x80:
            return first & 0x0F == _EX_SEQUENCE_START
        return first & 0x0F == _AVC and payload[1] == 0
    if kind != AUDIO:
        return False
    if first >> 4 == _EX_AUDIO:
        return first & 0x0F == _EX_SEQUENCE_START
    return first >> 4 == _AAC and payload[1] == 0


def avc_configuration(payload: bytes) -> bytes | None:
    """The AVCDecoderConfigurationRecord of an AVC sequence header in either form, or None."""
    if len(payload) <= 5:
        return None
    if payload[0] & 0x80:
        return payload[5:] if payload[0] & 0x0F == _EX_SEQUENCE_START and payload[1:5] == b"avc1" else None
    return payload[5:] if payload[0] & 0x0F == _AVC and payload[1] == 0 else None


def extended_video(fourcc: bytes, data: bytes, *, key: bool, composition_ms: int | None = None) -> bytes:
    """Payload of a video tag with an extended header; a sequence start when it has no composition time."""
    head = 0x80 | (_KEYFRAME if key else 2) << 4
    if composition_ms is None:
        return bytes((head | _EX_SEQUENCE_START,)) + fourcc + data
    if composition_ms == 0:
        return bytes((head | _EX_CODED_FRAMES_X,)) + fourcc + data
    return bytes((head | _EX_CODED_FRAMES,)) + fourcc + struct.pack(">i", composition_ms)[1:] + data


class TagReader:
    """Cuts an FLV byte stream into tags; FlvError when it is none."""

    def __init__(self, max_tag_bytes: int = MAX_TAG_BYTES) -> None:
        self._buffer = bytearray()
        self._header_seen = False
        self._max_tag_bytes = max_tag_bytes

    def feed(self, data: bytes) -> list[Tag]:
        """The tags that `data` completes."""
        buffer = self._buffer
        buffer += data
        offset = 0
        if not self._header_seen:
            if len(buffer) < len(HEADER):
                return []
            if buffer[:3] != b"FLV" or buffer[5:9] != b"\x00\x00\x00\x09":
                raise FlvError("no FLV header")
            self._header_seen = True
            offset = len(HEADER)
        tags = []
        while len(buffer) - offset >= _TAG_HEADER_BYTES:
            head, stamp = struct.unpack_from(">II", buffer, offset)
            kind, size = head >> 24 & 0x1F, head & 0xFFFFFF
            if kind not in (AUDIO, VIDEO, SCRIPT) or size > self._max_tag_bytes:
                raise FlvError(f"tag of kind {kind} with {size} bytes")
            end = offset + _TAG_HEADER_BYTES + size + 4
            if len(buffer) < end:
                break
            timestamp = stamp >> 8 | (stamp & 0xFF) << 24
            tags.append(Tag(kind, timestamp, bytes(buffer[offset + _TAG_HEADER_BYTES : end - 4])))
            offset = end
        del buffer[:offset]
        return tags
