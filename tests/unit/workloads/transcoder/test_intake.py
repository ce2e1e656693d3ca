"""What is kept for the next encoder: from a key frame on, in order, with nothing lost but what was trimmed."""

from hypothesis import given
from hypothesis import strategies as st

from workloads.common import flv
from workloads.transcoder.encode.intake import Intake

CONFIGURATION = b"\x17\x00\x00\x00\x00avcc"
KEY, INTER = b"\x17\x01\x00\x00\x00", b"\x27\x01\x00\x00\x00"


def video(at_ms: int, payload: bytes) -> flv.Tag:
    return flv.Tag(flv.VIDEO, at_ms & 0xFFFFFFFF, payload + str(at_ms).encode())


def configuration() -> flv.Tag:
    return flv.Tag(flv.VIDEO, 0, CONFIGURATION)


def read(data: bytes) -> list[flv.Tag]:
    return flv.TagReader().feed(data)


def filled(frames: int = 100, group: int = 25, first_ms: int = 0, max_bytes: int = 10**8) -> Intake:
    intake = Intake(max_bytes)
    intake.add(configuration())
    for index in range(frames):
        intake.add(video(first_ms + index * 40, INTER if index % group else KEY))
    return intake


def test_a_first_encoder_gets_everything_once() -> None:
    intake = filled(10)
    tags = read(intake.take())
    assert [tag.timestamp_ms for tag in tags] == [0, *range(0, 400, 40)]
    assert intake.take() == b""
    intake.add(video(400, INTER))
    [tag] = flv.TagReader().feed(flv.HEADER + intake.take())
    assert tag.timestamp_ms == 400


def test_the_next_encoder_begins_at_the_key_frame_before_and_counts_from_zero() -> None:
    intake = filled()
    intake.take()
    assert intake.rewind(2500) == 2000
    tags = read(intake.take())
    assert tags[0].payload == CONFIGURATION
    assert (tags[1].timestamp_ms, tags[1].payload) == (0, KEY + b"2000")
    assert tags[-1].timestamp_ms == 3960 - 2000


def test_timestamps_that_wrap_go_on() -> None:
    intake = filled(first_ms=0xFFFFFFFF - 999)
    assert intake.newest_ms == 99 * 40
    assert intake.rewind(3100) == 3000
    assert read(intake.take())[1].timestamp_ms == 0


def test_what_is_published_goes_by_whole_groups() -> None:
    intake = filled()
    intake.trim(2990)
    assert intake.key_frames() == [0, 1000, 2000, 3000], "the encoder has not had them"
    intake.take()
    intake.trim(2990)
    assert intake.key_frames() == [2000, 3000]
    assert intake.rewind(0) == 2000


def test_memory_is_bounded_and_the_oldest_group_goes_first() -> None:
    intake = filled(1000, max_bytes=1500)
    assert intake.key_frames()
    assert intake.key_frames()[0] >= 33_000
    assert read(intake.take())[1].payload.startswith(KEY)


def test_frames_that_are_skipped_are_counted() -> None:
    assert filled().frames_between(1000, 2000) == 25


@given(st.lists(st.sampled_from(["key", "inter", "take", "rewind", "trim"]), max_size=120))
def test_an_encoder_s_frames_are_consecutive_from_a_key_frame_on(steps: list[str]) -> None:
    intake, at, given_times, began = Intake(), 0, [], False
    intake.add(configuration())
    intake.add(video(0, KEY))
    base = 0
    for step in steps:
        if step in ("key", "inter"):
            at += 40
            intake.add(video(at, KEY if step == "key" else INTER))
        elif step == "take":
            data = intake.take()
            reader = flv.TagReader()
            tags = reader.feed(data if data.startswith(flv.HEADER) else flv.HEADER + data)
            frames = [tag for tag in tags if not flv.is_sequence_header(tag.kind, tag.payload)]
            if frames and not began:
                began = True
                assert flv.is_keyframe(flv.VIDEO, frames[0].payload)
            given_times += [tag.timestamp_ms + base for tag in frames]
        elif step == "rewind":
            base = intake.rewind(at - 100)
            assert base <= max(0, at)
            given_times, began = [], False
        else:
            intake.trim(at - 200)
    assert given_times == list(range(given_times[0], given_times[-1] + 40, 40)) if given_times else True
