"""Small media for tests: init segments and fragments with known contents."""

import struct

from workloads.common.cmaf import boxes
from workloads.common.cmaf.fragment import Fragment, Init, Sample

TIMESCALE = 90_000
VIDEO_INIT = Init(b"init-video", TIMESCALE, "avc1.64001f", 1280, 720)
AUDIO_INIT = Init(b"init-audio", 48_000, "mp4a.40.2")


def frame(start: float, duration: float, *, sync: bool, size: int = 100, timescale: int = TIMESCALE) -> Fragment:
    """A one-frame fragment."""
    return Fragment(round(start * timescale), (Sample(round(duration * timescale), size, sync),), bytes(size))


def init_bytes(*, handler: bytes, timescale: int, entry: bytes) -> bytes:
    """A minimal ftyp and moov with one track."""
    mdhd = boxes.pack(b"mdhd", bytes(12), struct.pack(">II", timescale, 0), bytes(4))
    hdlr = boxes.pack(b"hdlr", bytes(8), handler, bytes(13))
    stbl = boxes.pack(b"stbl", boxes.pack(b"stsd", struct.pack(">II", 0, 1), entry))
    mdia = boxes.pack(b"mdia", mdhd, hdlr, boxes.pack(b"minf", stbl))
    trex = boxes.pack(b"trex", struct.pack(">IIIIII", 0, 1, 1, 0, 0, 0x01010000))
    moov = boxes.pack(b"moov", boxes.pack(b"trak", mdia), boxes.pack(b"mvex", trex))
    return boxes.pack(b"ftyp", b"iso5", bytes(4)) + moov


def avc_entry(width: int, height: int, profile: bytes = b"\x4d\x40\x1f") -> bytes:
    """A visual sample entry with an avcC box."""
    visual = bytearray(78)
    visual[24:28] = struct.pack(">HH", width, height)
    return boxes.pack(b"avc1", bytes(visual), boxes.pack(b"avcC", b"\x01" + profile + b"\xff\xe0\x00"))


def aac_entry(object_type: int = 2) -> bytes:
    """An audio sample entry with an esds box, its descriptor sizes in the long form."""
    specific = b"\x05\x80\x80\x80\x02" + bytes((object_type << 3 | 1, 0x90))
    config_body = b"\x40\x15" + bytes(11) + specific
    config = b"\x04\x80\x80\x80" + bytes((len(config_body),)) + config_body
    es_body = b"\x00\x01\x00" + config
    return boxes.pack(b"mp4a", bytes(28), boxes.pack(b"esds", bytes(4), b"\x03", bytes((len(es_body),)), es_body))
