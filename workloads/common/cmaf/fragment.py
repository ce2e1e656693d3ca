"""Init segments and movie fragments: read from the encoder, written as one CMAF chunk per part; free of IO.

The encoder writes one fragment per frame, which is right for the latency of frames and wasteful on the wire (a header
of 100 bytes for an audio frame of 300). `pack_chunk` puts the frames of a part under one header. Source: ISO/IEC
14496-12 (moof, traf, tfhd, tfdt, trun), ISO/IEC 23000-19 (CMAF).
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workloads.common.cmaf import boxes, codecs
from workloads.common.cmaf.boxes import BoxError, BoxReader

_NON_SYNC = 0x00010000
_SYNC_FLAGS, _NON_SYNC_FLAGS = 0x02000000, 0x01010000
_TFHD_BASE_OFFSET, _TFHD_DESCRIPTION, _TFHD_DURATION, _TFHD_SIZE, _TFHD_FLAGS = 0x1, 0x2, 0x8, 0x10, 0x20
_TRUN_OFFSET, _TRUN_FIRST_FLAGS, _TRUN_DURATION, _TRUN_SIZE = 0x1, 0x4, 0x100, 0x200
_TRUN_FLAGS, _TRUN_CTS = 0x400, 0x800
_DEFAULT_BASE_IS_MOOF = 0x020000


@dataclass(frozen=True, slots=True)
class Init:
    """An init segment and what it says of its one track."""

    data: bytes
    timescale: int
    codec: str
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame: duration and composition offset in the track's timescale, size in bytes."""

    duration: int
    size: int
    sync: bool
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Fragment:
    """Consecutive frames; `decode_time` is in the track's timescale."""

    decode_time: int
    samples: tuple[Sample, ...]
    data: bytes

    @property
    def duration(self) -> int:
        """Length in the track's timescale."""
        return sum(sample.duration for sample in self.samples)

    @property
    def starts_with_sync(self) -> bool:
        """Whether decoding can begin here."""
        return bool(self.samples) and self.samples[0].sync


class FragmentReader:
    """Reads what the encoder writes on one pipe: an init segment, then fragments of its one track."""

    def __init__(self) -> None:
        self._boxes = BoxReader()
        self._head = b""
        self._moof = b""
        self._track_flags = 0

    def feed(self, data: bytes) -> Iterator[Init | Fragment]:
        """What `data` completes; BoxError when it is not fragmented MP4."""
        for kind, box in self._boxes.feed(data):
            if kind == b"ftyp":
                self._head = box
            elif kind == b"moov":
                yield parse_init(self._head + box)
                self._track_flags = _default_flags(box)
            elif kind == b"moof":
                self._moof = box
            elif kind == b"mdat":
                try:
                    yield parse_fragment(self._moof, box[8:], self._track_flags)
                except struct.error as error:
                    raise BoxError(f"truncated fragment: {error}") from error


def parse_init(data: bytes) -> Init:
    """An init segment (ftyp and moov) with one track."""
    trak = boxes.find(data, b"moov", b"trak")
    mdia = boxes.find(data, b"mdia", start=trak.start, end=trak.end)
    mdhd = boxes.find(data, b"mdhd", start=mdia.start, end=mdia.end)
    hdlr = boxes.find(data, b"hdlr", start=mdia.start, end=mdia.end)
    stbl = boxes.find(data, b"minf", b"stbl", start=mdia.start, end=mdia.end)
    (timescale,) = struct.unpack_from(">I", data, mdhd.start + (20 if data[mdhd.start] else 12))
    if not timescale:
        raise BoxError("timescale 0")
    is_video = data[hdlr.start + 8 : hdlr.start + 12] == b"vide"
    width, height = codecs.picture_size(data, stbl) if is_video else (0, 0)
    return Init(data, timescale, codecs.codec_string(data, stbl), width, height)


def parse_fragment(moof: bytes, payload: bytes, track_flags: int = 0) -> Fragment:
    """A fragment with one track from its moof box and the payload of its mdat."""
    traf = boxes.find(moof, b"moof", b"traf")
    duration = size = decode_time = 0
    flags = track_flags
    samples: list[Sample] = []
    for box in boxes.children(moof, traf.start, traf.end):
        if box.kind == b"tfhd":
            duration, size, flags = _header_defaults(moof, box.start, track_flags)
        elif box.kind == b"tfdt":
            code = ">Q" if moof[box.start] else ">I"
            (decode_time,) = struct.unpack_from(code, moof, box.start + 4)
        elif box.kind == b"trun":
            samples += _run(moof, box.start, duration, size, flags)
    if sum(sample.size for sample in samples) != len(payload):
        raise BoxError("the sample sizes do not add up to the media data")
    return Fragment(decode_time, tuple(samples), payload)


def pack_chunk(sequence: int, fragments: Sequence[Fragment]) -> bytes:
    """The frames of the fragments as one CMAF chunk (moof and mdat) with one run."""
    samples = [sample for fragment in fragments for sample in fragment.samples]
    offsets = any(sample.offset for sample in samples)
    flags = _TRUN_OFFSET | _TRUN_DURATION | _TRUN_SIZE | _TRUN_FLAGS | (_TRUN_CTS if offsets else 0)
    rows = []
    for sample in samples:
        row = struct.pack(">III", sample.duration, sample.size, _SYNC_FLAGS if sample.sync else _NON_SYNC_FLAGS)
        rows.append(row + struct.pack(">i", sample.offset) if offsets else row)
    run_header_bytes = 8 + 4 + 4 + 4
    moof_bytes = 8 + 16 + 8 + 16 + 20 + run_header_bytes + sum(map(len, rows))
    moof = boxes.pack(
        b"moof",
        boxes.pack(b"mfhd", struct.pack(">II", 0, sequence & 0xFFFFFFFF)),
        boxes.pack(
            b"traf",
            boxes.pack(b"tfhd", struct.pack(">II", _DEFAULT_BASE_IS_MOOF, 1)),
            boxes.pack(b"tfdt", struct.pack(">IQ", 0x01000000, fragments[0].decode_time)),
            # Version 1: the composition offsets are signed.
            boxes.pack(b"trun", struct.pack(">IIi", 0x01000000 | flags, len(samples), moof_bytes + 8), *rows),
        ),
    )
    return moof + boxes.pack(b"mdat", *(fragment.data for fragment in fragments))


def _default_flags(moov: bytes) -> int:
    try:
        trex = boxes.find(moov, b"moov", b"mvex", b"trex")
    except BoxError:
        return 0
    return int(struct.unpack_from(">I", moov, trex.start + 20)[0])


def _header_defaults(moof: bytes, at: int, track_flags: int) -> tuple[int, int, int]:
    """Default duration, size and flags of the samples from a tfhd payload."""
    (present,) = struct.unpack_from(">I", moof, at)
    cursor = at + 8 + (8 if present & _TFHD_BASE_OFFSET else 0) + (4 if present & _TFHD_DESCRIPTION else 0)
    values = [0, 0, track_flags]
    for index, flag in enumerate((_TFHD_DURATION, _TFHD_SIZE, _TFHD_FLAGS)):
        if present & flag:
            (values[index],) = struct.unpack_from(">I", moof, cursor)
            cursor += 4
    return values[0], values[1], values[2]


def _run(moof: bytes, at: int, duration: int, size: int, flags: int) -> list[Sample]:
    present, count = struct.unpack_from(">II", moof, at)
    version = present >> 24
    cursor = at + 8 + (4 if present & _TRUN_OFFSET else 0)
    first_flags = None
    if present & _TRUN_FIRST_FLAGS:
        (first_flags,) = struct.unpack_from(">I", moof, cursor)
        cursor += 4
    samples = []
    for index in range(count):
        own = [duration, size, first_flags if index == 0 and first_flags is not None else flags, 0]
        for place, flag in enumerate((_TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS, _TRUN_CTS)):
            if present & flag:
                code = ">i" if flag == _TRUN_CTS and version else ">I"
                (own[place],) = struct.unpack_from(code, moof, cursor)
                cursor += 4
        samples.append(Sample(own[0], own[1], not own[2] & _NON_SYNC, own[3]))
    return samples
