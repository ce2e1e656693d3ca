"""MPEG-TS of a real encoder becomes FLV that a real decoder reads; garbage is a typed error."""

import contextlib
import subprocess
from functools import cache

import imageio_ffmpeg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.common import amf, flv
from workloads.ingest.mpegts import hevc
from workloads.ingest.mpegts.demux import PACKET_BYTES, Codec, Demuxer, TransportError
from workloads.ingest.mpegts.remux import Clock, Remuxer, split

SECONDS, FPS = 2, 25


@cache
def transport(codec: str = "libx264", audio: str = "aac", bframes: int = 0, pixels: str = "yuv420p") -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error"]
    command += ["-f", "lavfi", "-i", f"testsrc2=size=320x180:rate={FPS}", "-f", "lavfi", "-i", "sine=frequency=440"]
    command += ["-t", str(SECONDS), "-c:v", codec, "-g", "25", "-c:a", audio, "-ar", "48000"]
    command += ["-bf", str(bframes)] if codec == "libx264" else []
    if codec == "libx265":
        command += ["-preset", "ultrafast", "-pix_fmt", pixels, "-x265-params", f"log-level=error:bframes={bframes}"]
    result = subprocess.run([*command, "-f", "mpegts", "-"], capture_output=True, check=True, timeout=60)
    return result.stdout


def decoded(tags: list[flv.Tag]) -> tuple[int, str]:
    """Frames that a decoder makes of the tags, and its complaints."""
    body = flv.HEADER + b"".join(flv.pack_tag(tag.kind, tag.timestamp_ms, tag.payload) for tag in tags)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-f", "flv", "-i", "-"]
    command += ["-map", "0:v", "-f", "framemd5", "-"]
    result = subprocess.run(command, input=body, capture_output=True, check=True, timeout=60)
    return sum(not line.startswith(b"#") for line in result.stdout.splitlines()), result.stderr.decode()


@pytest.mark.parametrize("bframes", [0, 2])
@pytest.mark.parametrize("piece", [100, 1316, 65536])
def test_every_picture_and_sound_arrives(bframes: int, piece: int) -> None:
    data, remuxer = transport(bframes=bframes), Remuxer()
    tags = [tag for at in range(0, len(data), piece) for tag in remuxer.feed(data[at : at + piece])]
    frames, complaints = decoded(tags)
    assert complaints == ""
    assert frames >= SECONDS * FPS - 1  # the last picture has no successor that would end it
    sound = [tag for tag in tags if tag.kind == flv.AUDIO]
    assert len(sound) > SECONDS * 48000 / 1024 - 8
    assert sound[0].payload[:2] == b"\xaf\x00"
    for kind in (flv.VIDEO, flv.AUDIO):
        times = [tag.timestamp_ms for tag in tags if tag.kind == kind]
        assert times == sorted(times)
    assert remuxer.demuxer.codecs == {Codec.H264, Codec.AAC}


@pytest.mark.parametrize(("bframes", "pixels"), [(0, "yuv420p"), (2, "yuv420p"), (0, "yuv422p10le")])
def test_hevc_leaves_in_tags_with_extended_headers(bframes: int, pixels: str) -> None:
    data, remuxer = transport("libx265", bframes=bframes, pixels=pixels), Remuxer()
    tags = [tag for at in range(0, len(data), 1316) for tag in remuxer.feed(data[at : at + 1316])]
    frames, complaints = decoded(tags)
    assert complaints == ""
    assert frames >= SECONDS * FPS - 1
    pictures = [tag.payload for tag in tags if tag.kind == flv.VIDEO]
    assert {payload[1:5] for payload in pictures} == {b"hvc1"}
    assert [flv.is_sequence_header(flv.VIDEO, payload) for payload in pictures].count(True) == 1
    keys = [payload for payload in pictures if flv.is_keyframe(flv.VIDEO, payload)]
    assert len(keys) == 1 + SECONDS * FPS // 25
    metadata = next(amf.decode(tag.payload) for tag in tags if tag.kind == flv.SCRIPT)
    assert metadata == ["onMetaData", {"width": 320.0, "height": 180.0}]


@given(st.binary(max_size=80))
def test_any_bytes_are_a_parameter_set_or_none(body: bytes) -> None:
    with contextlib.suppress(hevc.SpsError):
        assert hevc.parse_sps(bytes((hevc.SPS << 1, 1)) + body).width >= 16


def test_a_lost_packet_costs_a_frame_and_no_more() -> None:
    data = transport()
    packets = [data[at : at + PACKET_BYTES] for at in range(0, len(data), PACKET_BYTES)]
    picture = [index for index, item in enumerate(packets) if item[1] & 0x1F == 1 and item[2] == 0]  # PID 256
    del packets[picture[len(picture) // 2]]
    remuxer = Remuxer()
    whole = Remuxer().feed(data)
    tags = remuxer.feed(b"".join(packets))
    assert remuxer.demuxer.discontinuities == 1
    assert len(whole) - 6 <= len(tags) < len(whole)  # one picture, or one packet of some sounds


def test_bytes_between_packets_are_skipped() -> None:
    data = transport()
    cut = len(data) // 2 // PACKET_BYTES * PACKET_BYTES
    assert len(Remuxer().feed(data[:cut] + b"\0" * 77 + data[cut:])) == len(Remuxer().feed(data))


def test_sound_that_is_not_understood_is_named() -> None:
    demuxer = Demuxer()
    demuxer.feed(transport(audio="mp2"))
    assert demuxer.unknown == {"MP2"}


def test_a_picture_that_cannot_be_taken_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workloads.ingest.mpegts.remux._PROBE_BYTES", 1000)
    with pytest.raises(TransportError, match="MPEG-2"):
        Remuxer().feed(transport(codec="mpeg2video"))


def test_what_is_no_transport_stream_is_refused() -> None:
    with pytest.raises(TransportError):
        Demuxer().feed(b"\0" * 100_000)


@settings(max_examples=40)
@given(data=st.data())
def test_damage_never_does_more_than_a_typed_error(data: st.DataObject) -> None:
    body = bytearray(transport()[: 40 * PACKET_BYTES])
    for _ in range(data.draw(st.integers(1, 40))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    remuxer = Remuxer()
    for at in range(0, len(body), 500):
        remuxer.feed(bytes(body[at : at + 500]))


@given(st.integers(0, (1 << 33) - 1), st.lists(st.integers(-(1 << 20), 1 << 20), max_size=20))
def test_the_clock_follows_over_the_wrap(first: int, steps: list[int]) -> None:
    clock, line, ticks = Clock(), 0, first
    assert clock.line(first) == 0
    for step in steps:
        ticks, line = (ticks + step) % (1 << 33), line + step
        assert clock.line(ticks) == line


@pytest.mark.parametrize(
    ("data", "units"),
    [
        (b"\0\0\0\1\x67ab\0\0\1\x68c", [b"\x67ab", b"\x68c"]),
        (b"\0\0\1\x65abc\0\0", [b"\x65abc"]),
        (b"abc", []),
        (b"\0\0\1\0\0\1\x41x", [b"\x41x"]),
    ],
)
def test_units_between_start_codes(data: bytes, units: list[bytes]) -> None:
    assert split(data) == units
