"""Timed metadata in the media itself: an ID3 tag in an event message box; free of IO.

The box travels in front of a part's movie fragment, so it reaches a viewer exactly with the picture that it belongs to,
whatever that viewer's latency is. Source: ISO/IEC 23009-1, 5.10.3.3 (emsg version 1), AOM "Carriage of ID3 Timed
Metadata in CMAF", ID3v2.4.
"""

import struct

from workloads.common.cmaf import boxes

SCHEME = "https://aomedia.org/emsg/ID3"
OWNER = "dev.haat.cue"
MAX_PAYLOAD_BYTES = 8192
_UTF8 = b"\x03"


def id3(payload: str) -> bytes:
    """An ID3v2.4 tag with one TXXX frame: description `dev.haat.cue`, the payload as its text."""
    body = _UTF8 + OWNER.encode() + b"\x00" + payload.encode() + b"\x00"
    frame = b"TXXX" + _synchsafe(len(body)) + b"\x00\x00" + body
    return b"ID3\x04\x00\x00" + _synchsafe(len(frame)) + frame


def event_message(*, timescale: int, at: int, duration: int, number: int, payload: bytes) -> bytes:
    """An emsg box, version 1: `at` and `duration` in the timescale, `number` unique for the event."""
    times = struct.pack(">IQII", timescale, at, duration, number & 0xFFFFFFFF)
    return boxes.pack(b"emsg", b"\x01\x00\x00\x00", times, SCHEME.encode() + b"\x00\x00", payload)


def _synchsafe(value: int) -> bytes:
    """28 bits in four bytes whose highest bit is clear."""
    return bytes(value >> shift & 0x7F for shift in (21, 14, 7, 0))
