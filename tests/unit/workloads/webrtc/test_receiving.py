"""A publisher's packets in order, its clocks, and what is made of its codecs."""

import struct

import av
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workloads.common import flv
from workloads.transcoder.h264 import picture_from_configuration
from workloads.webrtc.convert import AacMaker, H264Maker
from workloads.webrtc.flvmux import aac_frame, aac_header, avc_configuration, avc_header, avc_picture
from workloads.webrtc.opus import OpusMaker
from workloads.webrtc.packets import RtpHeader
from workloads.webrtc.reorder import MAX_WAIT_SECONDS, Arrived, Reorder
from workloads.webrtc.rtcp import ntp
from workloads.webrtc.timeline import Timeline


def header(number: int) -> RtpHeader:
    return RtpHeader(96, False, number & 0xFFFF, number * 90, 5, 12, 12, {})


@given(st.permutations(range(12)), st.sampled_from([0, 65_530]))
def test_any_order_becomes_the_right_one(order: list[int], base: int) -> None:
    reorder, got = Reorder(5, 90_000), []
    reorder.push(header(base), b"first", 0.0)
    got += list(reorder.pop(0.0))
    for place in order:
        reorder.push(header(base + 1 + place), bytes((place,)), 0.01)
        reorder.push(header(base + 1 + place), b"again", 0.01)
        got += list(reorder.pop(0.01))
    assert [item.payload for item in got[1:]] == [bytes((place,)) for place in range(12)]
    assert not any(item.after_loss for item in got)
    assert reorder.report(1.0).lost == 0


def test_what_is_missing_is_asked_for_and_given_up_in_the_end() -> None:
    reorder = Reorder(5, 90_000)
    reorder.push(header(10), b"a", 0.0)
    reorder.push(header(13), b"d", 0.0)
    assert [item.payload for item in reorder.pop(0.0)] == [b"a"]
    assert reorder.wanted(0.0) == [11, 12]
    assert reorder.wanted(0.01) == []
    assert reorder.wanted(0.06) == [11, 12]
    reorder.push(header(11), b"b", 0.1, repeated=True)
    assert [item.payload for item in reorder.pop(0.1)] == [b"b"]
    found: list[Arrived] = list(reorder.pop(MAX_WAIT_SECONDS + 0.01))
    assert [(item.payload, item.after_loss) for item in found] == [(b"d", True)]
    report = reorder.report(1.0)
    assert (report.lost, report.fraction_lost, report.highest & 0xFFFF) == (1, 0.25, 13)


@given(st.lists(st.integers(0, 65_535), min_size=1, max_size=80))
def test_any_numbers_are_harmless(numbers: list[int]) -> None:
    reorder = Reorder(5, 90_000)
    for place, number in enumerate(numbers):
        reorder.push(header(number), b"x", place / 100)
        list(reorder.pop(place / 100))
        reorder.wanted(place / 100)
    report = reorder.report(100.0)
    assert 0 <= report.fraction_lost <= 1
    assert len(list(reorder.pop(100.0))) <= len(numbers)


def test_timestamps_wrap() -> None:
    timeline = Timeline(90_000)
    assert timeline.milliseconds((1 << 32) - 90, 2.0) == 2000
    assert timeline.milliseconds(90 * 32, 9.9) == 2033


def test_sender_reports_bring_sound_and_picture_together() -> None:
    video, audio = Timeline(90_000), Timeline(48_000)
    # Both began at wall time 100, but the sound came 200 ms later.
    video.milliseconds(1000, 1.0)
    audio.milliseconds(5000, 1.2)
    audio.align(video)
    video.report(ntp(101.0), 1000 + 90_000)
    audio.align(video)
    audio.report(ntp(101.0), 5000 + 48_000)
    audio.align(video)
    assert audio.milliseconds(5000 + 48_000, 0.0) == video.milliseconds(1000 + 90_000, 0.0)


def tone(samples: int) -> list[av.AudioFrame]:
    frames = []
    for start in range(0, samples, 960):
        wave = np.sin(np.arange(start, start + 960) * 2 * np.pi * 440 / 48_000).astype(np.float32) * 0.5
        frame = av.AudioFrame.from_ndarray(np.repeat(wave, 2).reshape(1, -1), format="flt", layout="stereo")
        frame.sample_rate = 48_000
        frames.append(frame)
    return frames


def test_sound_survives_both_ways() -> None:
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "stereo", "flt"
    packets = [bytes(packet) for frame in tone(48_000) for packet in encoder.encode(frame)]
    maker = AacMaker()
    aac = [item for index, packet in enumerate(packets) for item in maker.feed(packet, 10_000 + index * 960)]
    times = [time for time, _ in aac]
    assert times == list(range(times[0], times[0] + 1024 * len(aac), 1024))
    back = OpusMaker(maker.configuration)
    opus = [item for time, frame in aac for item in back.feed(frame, time)]
    assert len(opus) >= 44
    assert [time for time, _ in opus] == list(range(opus[0][0], opus[0][0] + 960 * len(opus), 960))
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = 48_000, "stereo"
    heard = np.concatenate(
        [frame.to_ndarray().reshape(-1) for _, packet in opus for frame in decoder.decode(av.Packet(packet))]
    ).astype(float)
    spectrum = np.abs(np.fft.rfft(heard[20_000:60_000:2]))
    assert abs(np.argmax(spectrum) * 48_000 / 20_000 - 440) < 5


def test_a_gap_in_the_sound_is_a_gap_in_time() -> None:
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "stereo", "flt"
    packets = [bytes(packet) for frame in tone(9600) for packet in encoder.encode(frame)]
    maker = AacMaker()
    early = [time for index, packet in enumerate(packets) for time, _ in maker.feed(packet, index * 960)]
    late = [time for index, packet in enumerate(packets) for time, _ in maker.feed(packet, 480_000 + index * 960)]
    assert late[0] >= 480_000 - 2048 > early[-1] + 48_000


def test_vp8_becomes_h264_in_flv() -> None:
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 180, "yuv420p"
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    maker, made = H264Maker(), []
    for index in range(10):
        frame = av.VideoFrame.from_ndarray(np.full((270, 320), index * 20, np.uint8), format="yuv420p")
        frame.pts = index
        made += [item for packet in encoder.encode(frame) for item in maker.feed(bytes(packet))]
    assert len(made) == 10
    assert made[0][0]
    record = avc_configuration(made[0][1])
    assert record is not None
    picture = picture_from_configuration(record)
    assert (picture.width, picture.height) == (320, 180)


def test_flv_payloads_are_what_the_transcoder_looks_for() -> None:
    record = avc_configuration([b"\x67\x64\x00\x1fabc", b"\x68def"])
    assert record is not None
    assert flv.avc_configuration(avc_header(record)) == record
    assert flv.is_sequence_header(flv.VIDEO, avc_header(record))
    key, inter = avc_picture([b"\x65xyz"], key=True), avc_picture([b"\x41xyz"], key=False)
    assert flv.is_keyframe(flv.VIDEO, key)
    assert not flv.is_keyframe(flv.VIDEO, inter)
    assert key[5:] == struct.pack(">I", 4) + b"\x65xyz"
    assert flv.is_sequence_header(flv.AUDIO, aac_header(b"\x11\x90"))
    assert not flv.is_sequence_header(flv.AUDIO, aac_frame(b"x"))
    assert avc_configuration([b"\x67\x64\x00\x1fabc"]) is None
