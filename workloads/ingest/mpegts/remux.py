"""Elementary frames to FLV tags: start codes become lengths, ADTS headers go, decoder configurations are made.

Nothing is decoded, and SEI messages stay, since clocks of encoders are in them. Times leave as milliseconds from the
first frame on, over the wrap of the 33 bits; what jumps is mended further on, for all protocols in one place.
"""

import struct
from collections.abc import Iterator

from workloads.common import amf, flv
from workloads.common.flv import Tag
from workloads.ingest.mpegts import hevc
from workloads.ingest.mpegts.demux import Access, Codec, Demuxer, TransportError

_SPS, _PPS, _IDR, _AUD = 7, 8, 5, 9
_TICKS_PER_MS = 90
_WRAP = 1 << 33
_SAMPLE_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_SAMPLES = 1024
_PROBE_BYTES = 4 * 1024 * 1024


class Clock:
    """33-bit times as one line of ticks that begins at zero."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._line = 0

    def line(self, ticks: int) -> int:
        """Ticks since the first one; the shortest way round counts as the way."""
        if self._last is None:
            self._last = ticks
        step = (ticks - self._last + _WRAP // 2) % _WRAP - _WRAP // 2
        self._last = ticks
        self._line += step
        return self._line


class Remuxer:
    """Feed it MPEG-TS, take FLV tags; TransportError when it is none or nothing in it can be taken."""

    def __init__(self) -> None:
        self.demuxer = Demuxer()
        self._clock = Clock()
        self._origin: int | None = None
        self._fed = 0
        self._video: bytes | None = None
        self._sets: dict[int, bytes] = {}
        self._hevc_sets = b""
        self._audio: bytes | None = None

    def feed(self, data: bytes) -> list[Tag]:
        """The tags that the bytes complete."""
        self._fed += len(data)
        tags = [tag for access in self.demuxer.feed(data) for tag in self._access(access)]
        if self._video is None and self._fed > _PROBE_BYTES:
            raise TransportError(f"there is no H.264 or HEVC video in it (found: {self._found()})")
        return tags

    def _found(self) -> str:
        return ", ".join(sorted({codec.name for codec in self.demuxer.codecs} | self.demuxer.unknown)) or "nothing"

    def _access(self, access: Access) -> Iterator[Tag]:
        if access.pts is None or access.dts is None:
            return
        dts = self._clock.line(access.dts)
        if access.codec is Codec.H264:
            offset = (access.pts - access.dts + _WRAP // 2) % _WRAP - _WRAP // 2
            yield from self._picture(access.data, dts, offset)
        elif access.codec is Codec.HEVC:
            offset = (access.pts - access.dts + _WRAP // 2) % _WRAP - _WRAP // 2
            yield from self._hevc_picture(access.data, dts, offset)
        elif access.codec is Codec.AAC:
            yield from self._sound(access.data, dts)

    def _stamp(self, ticks: int) -> int | None:
        """Milliseconds of a tag; sound from before the first picture has none."""
        if self._origin is None:
            return None
        stamp = (ticks - self._origin) // _TICKS_PER_MS
        return stamp if stamp >= 0 else None

    def _picture(self, data: bytes, dts: int, offset: int) -> Iterator[Tag]:
        units = [unit for unit in split(data) if unit[0] & 0x1F != _AUD]
        kinds = {unit[0] & 0x1F for unit in units}
        for unit in units:
            if unit[0] & 0x1F in (_SPS, _PPS):
                self._sets[unit[0] & 0x1F] = unit
        if len(self._sets) < 2:
            return
        if self._video is None and _IDR not in kinds:
            return  # a decoder cannot begin here
        if self._origin is None:
            self._origin = dts
        stamp = self._stamp(dts)
        if stamp is None:
            return
        configuration = avc_configuration(self._sets[_SPS], self._sets[_PPS])
        if configuration is None:
            return
        if configuration != self._video:
            self._video = configuration
            yield Tag(flv.VIDEO, stamp, b"\x17\x00\x00\x00\x00" + configuration)
        slices = [unit for unit in units if unit[0] & 0x1F not in (_SPS, _PPS)]
        if slices:
            head = b"\x17\x01" if _IDR in kinds else b"\x27\x01"
            composition = struct.pack(">i", offset // _TICKS_PER_MS)[1:]
            body = b"".join(struct.pack(">I", len(unit)) + unit for unit in slices)
            yield Tag(flv.VIDEO, stamp, head + composition + body)

    def _hevc_picture(self, data: bytes, dts: int, offset: int) -> Iterator[Tag]:
        """As `_picture`; FLV has no number for HEVC, so the tags have extended headers."""
        slices, random_access = [], False
        for unit in split(data):
            kind = hevc.unit_type(unit)
            if kind in (hevc.VPS, hevc.SPS, hevc.PPS):
                self._sets[kind] = unit
            elif kind != hevc.AUD:
                slices.append(unit)
                random_access = random_access or hevc.is_random_access(unit)
        if len(self._sets) < 3 or not slices or (self._video is None and not random_access):
            return
        if self._origin is None:
            self._origin = dts
        stamp = self._stamp(dts)
        if stamp is None:
            return
        yield from self._hevc_configuration(stamp)
        if self._video is not None:
            body = b"".join(struct.pack(">I", len(unit)) + unit for unit in slices)
            composition = offset // _TICKS_PER_MS
            payload = flv.extended_video(b"hvc1", body, key=random_access, composition_ms=composition)
            yield Tag(flv.VIDEO, stamp, payload)

    def _hevc_configuration(self, stamp: int) -> Iterator[Tag]:
        """A sequence start when the parameter sets are new, behind metadata with the size of the picture."""
        sets = b"".join(self._sets[kind] for kind in (hevc.VPS, hevc.SPS, hevc.PPS))
        if sets == self._hevc_sets:
            return
        try:
            sequence = hevc.parse_sps(self._sets[hevc.SPS])
        except hevc.SpsError:
            return
        self._hevc_sets = sets
        self._video = hevc.configuration(self._sets, sequence)
        size = {"width": float(sequence.width), "height": float(sequence.height)}
        yield Tag(flv.SCRIPT, stamp, amf.encode("onMetaData", size))
        yield Tag(flv.VIDEO, stamp, flv.extended_video(b"hvc1", self._video, key=True))

    def _sound(self, data: bytes, dts: int) -> Iterator[Tag]:
        passed = 0
        for configuration, rate, frame in adts(data):
            stamp = self._stamp(dts + passed * 90_000 // rate)
            passed += _SAMPLES
            if stamp is None:
                continue
            if configuration != self._audio:
                self._audio = configuration
                yield Tag(flv.AUDIO, stamp, b"\xaf\x00" + configuration)
            yield Tag(flv.AUDIO, stamp, b"\xaf\x01" + frame)


def split(data: bytes) -> list[bytes]:
    """The NAL units between start codes, without empty ones."""
    units = []
    start = data.find(b"\0\0\1")
    while start >= 0:
        following = data.find(b"\0\0\1", start + 3)
        unit = data[start + 3 : following if following >= 0 else len(data)].rstrip(b"\0")
        if unit:
            units.append(unit)
        start = following
    return units


def avc_configuration(sps: bytes, pps: bytes) -> bytes | None:
    """AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1) of one parameter set each; None for a stunted one."""
    if len(sps) < 4:
        return None
    head = b"\x01" + sps[1:4] + b"\xff\xe1"
    record = head + struct.pack(">H", len(sps)) + sps + b"\x01" + struct.pack(">H", len(pps)) + pps
    if sps[1] in (100, 110, 122, 144):
        record += b"\xfd\xf8\xf8\x00"  # 4:2:0 in eight bits, which is all that cameras send
    return record


def adts(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """AudioSpecificConfig, sampling rate and payload of each frame; ends at what is no frame."""
    offset = 0
    while offset + 7 <= len(data):
        if data[offset] != 0xFF or data[offset + 1] & 0xF6 != 0xF0:
            return
        profile, index = data[offset + 2] >> 6, data[offset + 2] >> 2 & 0x0F
        channels = (data[offset + 2] & 0x01) << 2 | data[offset + 3] >> 6
        size = (data[offset + 3] & 0x03) << 11 | data[offset + 4] << 3 | data[offset + 5] >> 5
        header = 7 if data[offset + 1] & 0x01 else 9
        if index >= len(_SAMPLE_RATES) or size <= header or offset + size > len(data):
            return
        configuration = struct.pack(">H", (profile + 1) << 11 | index << 7 | channels << 3)
        yield configuration, _SAMPLE_RATES[index], data[offset + header : offset + size]
        offset += size
