"""Extended tag headers: what is a key frame and a configuration, what is taken, and what a refused encoder is told."""

import pytest

from workloads.common import amf, flv
from workloads.common.publication.gop import GopCache
from workloads.ingest.chunk import Message, pack_message
from workloads.ingest.codecs import AUDIO_FOURCC, VIDEO_FOURCC, refusal
from workloads.ingest.session import Media, Session, Unsupported

FRAME = b"\0\0\0\2ab"
GREETING = b"\x03" + bytes(3072)


@pytest.mark.parametrize("fourcc", VIDEO_FOURCC)
def test_forms_of_extended_video(fourcc: bytes) -> None:
    start = flv.extended_video(fourcc, b"record", key=True)
    key = flv.extended_video(fourcc, FRAME, key=True, composition_ms=0)
    late = flv.extended_video(fourcc, FRAME, key=True, composition_ms=-40)
    other = flv.extended_video(fourcc, FRAME, key=False, composition_ms=0)
    assert [payload[0] for payload in (start, key, late, other)] == [0x90, 0x93, 0x91, 0xA3]
    assert late[5:8] == b"\xff\xff\xd8"
    assert [flv.is_sequence_header(flv.VIDEO, item) for item in (start, key, late, other)] == [
        True,
        False,
        False,
        False,
    ]
    assert [flv.is_keyframe(flv.VIDEO, item) for item in (start, key, late, other)] == [True, True, True, False]
    assert all(refusal(flv.VIDEO, item) == "" for item in (start, key, late, other))


def test_metadata_and_the_end_of_a_sequence_are_no_key_frames() -> None:
    for packet in (2, 4):
        payload = bytes((0x90 | packet,)) + b"hvc1"
        assert not flv.is_keyframe(flv.VIDEO, payload)
        assert not flv.is_sequence_header(flv.VIDEO, payload)


@pytest.mark.parametrize("fourcc", AUDIO_FOURCC)
def test_forms_of_extended_audio(fourcc: bytes) -> None:
    assert flv.is_sequence_header(flv.AUDIO, b"\x90" + fourcc + b"head")
    assert not flv.is_sequence_header(flv.AUDIO, b"\x91" + fourcc + b"data")
    assert refusal(flv.AUDIO, b"\x91" + fourcc + b"data") == ""


def test_the_record_of_avc_is_found_in_either_form() -> None:
    assert flv.avc_configuration(b"\x17\0\0\0\0record") == b"record"
    assert flv.avc_configuration(flv.extended_video(b"avc1", b"record", key=True)) == b"record"
    assert flv.avc_configuration(flv.extended_video(b"hvc1", b"record", key=True)) is None


@pytest.mark.parametrize(
    ("kind", "payload", "told"),
    [
        (flv.VIDEO, b"\x90vvc1", "video codec VVC is not supported: send H.264, HEVC, AV1 or VP9"),
        (flv.VIDEO, b"\x90\xff\0\n\1", r"video codec '\xff\x00\n\x01' is not supported"),
        (flv.VIDEO, b"\x1c\0", "video codec 12 is not supported"),
        (flv.VIDEO, b"\x96\x01hvc1", "multitrack video"),
        (flv.VIDEO, b"\x97\x02", "video tags with ModEx"),
        (flv.AUDIO, b"\x91ac-3", "audio codec AC-3 is not supported: send AAC or Opus"),
        (flv.AUDIO, b"\x95\x01mp4a", "multitrack audio"),
        (flv.AUDIO, b"\x97\x02", "audio tags with ModEx"),
        (flv.AUDIO, b"\x90", "audio codec '' is not supported"),
    ],
)
def test_what_is_refused_is_named(kind: int, payload: bytes, told: str) -> None:
    assert refusal(kind, payload).startswith(told)


def test_what_is_not_extended_passes() -> None:
    for kind, payload in ((flv.VIDEO, b"\x17"), (flv.VIDEO, b"\x22"), (flv.AUDIO, b"\xaf"), (flv.SCRIPT, b"\x97")):
        assert refusal(kind, payload) == ""


def test_an_encoder_that_asks_is_told_what_is_taken_and_others_are_not() -> None:
    for information, answered in (({"app": "live", "fourCcList": ["*"]}, True), ({"app": "live"}, False)):
        session = Session()
        session.feed(GREETING + pack_message(3, Message(20, 0, 0, amf.encode("connect", 1.0, information))))
        assert session.next_event() is None
        assert (b"videoFourCcInfoMap" in session.output()) is answered


def test_media_that_cannot_be_taken_ends_the_publication() -> None:
    session = Session()
    session.feed(GREETING)
    session.accept()
    session.feed(pack_message(6, Message(flv.VIDEO, 1, 0, b"\x90hvc1record")))
    session.feed(pack_message(6, Message(flv.VIDEO, 1, 0, b"\x90vvc1record")))
    session.feed(pack_message(6, Message(flv.VIDEO, 1, 0, b"\x90hvc1record")))
    assert session.next_event() == Media(flv.VIDEO, 0, b"\x90hvc1record")
    event = session.next_event()
    assert isinstance(event, Unsupported)
    assert event.reason.startswith("video codec VVC")
    assert session.next_event() is None


def test_a_new_transcoder_gets_the_extended_configuration_and_group_of_pictures() -> None:
    cache = GopCache()
    start = flv.extended_video(b"av01", b"record", key=True)
    frames = [flv.extended_video(b"av01", FRAME, key=key, composition_ms=0) for key in (True, False, True, False)]
    sound = b"\x90Opushead"
    for index, (kind, payload) in enumerate(
        [(flv.VIDEO, start), (flv.AUDIO, sound), *((flv.VIDEO, f) for f in frames)]
    ):
        cache.add(kind, index * 40, payload, payload)
    assert cache.replay() == [flv.HEADER, start, sound, *frames[2:]]
