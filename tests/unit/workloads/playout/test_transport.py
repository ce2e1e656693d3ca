"""Several transport streams joined into one, made and read by real ffmpeg."""

import subprocess
from itertools import pairwise

import imageio_ffmpeg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.playout import command
from workloads.playout.config import PlayoutSettings
from workloads.playout.transport import (
    AUDIO_PID,
    CLOCK,
    PACKET_BYTES,
    VIDEO_PID,
    WRAP,
    Frames,
    Joint,
    Packets,
    TransportError,
    frame_time,
    pid_of,
    since,
)

SMALL = PlayoutSettings(width=160, height=90, fps=25, video_kbps=100, x264_preset="ultrafast")
FFMPEG = str(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.fixture(scope="module")
def source() -> bytes:
    """A second and a half of slate, as a source gives it."""
    words = [word for word in command.slate(SMALL, FFMPEG) if word != "-re"]
    return subprocess.run([*words[:-1], "-t", "1.5", words[-1]], capture_output=True, check=True, timeout=30).stdout


def joined(source: bytes, *, begins: int, times: int, chunk: int = 7 * PACKET_BYTES + 3) -> tuple[bytes, Joint]:
    """The source several times in a row."""
    joint, out = Joint(), b""
    for number in range(times):
        frames = Frames()
        found = [item for at in range(0, len(source), chunk) for item in frames.feed(source[at : at + chunk])]
        wanted = (begins + number * CLOCK) % WRAP
        shift = joint.gap_free(frames.first, frame_ticks=CLOCK // 25, wanted=wanted)
        out += b"".join(joint.emit(packets, shift) for packets, _ in found)
    return out, joint


@pytest.mark.parametrize("begins", [0, 10 * CLOCK, WRAP - 2 * CLOCK], ids=["zero", "ten seconds", "over the wrap"])
def test_time_goes_on_over_every_joint(source: bytes, begins: int) -> None:
    out, _ = joined(source, begins=begins, times=4)
    for pid in (VIDEO_PID, AUDIO_PID):
        moments = [moment for packet in Packets().feed(out)
                   if pid_of(packet) == pid and (moment := frame_time(packet)) is not None]  # fmt: skip
        assert len(moments) > 100
        steps = [since(two, one) for one, two in pairwise(moments)]
        assert min(steps) > 0
        assert max(steps) < CLOCK / 2


def test_packets_of_each_pid_are_counted_through(source: bytes) -> None:
    out, _ = joined(source, begins=0, times=3)
    last: dict[int, int] = {}
    for packet in Packets().feed(out):
        if packet[3] & 0x10:
            pid, counter = pid_of(packet), packet[3] & 0x0F
            assert pid not in last or counter == (last[pid] + 1) % 16
            last[pid] = counter


@pytest.mark.parametrize("begins", [10 * CLOCK, WRAP - 2 * CLOCK], ids=["plain", "over the wrap"])
def test_a_publisher_copies_the_joint_without_a_complaint(source: bytes, begins: int) -> None:
    out, _ = joined(source, begins=begins, times=3)
    words = command.publisher(FFMPEG, "pipe:1")
    words[words.index("error")] = "warning"
    done = subprocess.run(words, input=out, capture_output=True, timeout=30)
    assert done.returncode == 0
    assert b"ontinuity" not in done.stderr
    assert b"onoton" not in done.stderr
    probe = subprocess.run([FFMPEG, "-v", "error", "-i", "pipe:0", "-f", "null", "-"], input=done.stdout,
                           capture_output=True, timeout=30)  # fmt: skip
    assert probe.stderr == b""


def test_only_whole_frames_are_passed_on(source: bytes) -> None:
    """A source that is killed in the middle of a picture leaves none of it."""
    frames = Frames()
    whole = list(frames.feed(source[: len(source) // 2 // PACKET_BYTES * PACKET_BYTES]))
    media = [packets for packets, moment in whole if moment is not None]
    assert all(frame_time(packets[0]) is not None for packets in media)
    assert all(frame_time(packet) is None for packets in media for packet in packets[1:])


def test_a_source_that_comes_late_begins_where_it_is_wanted(source: bytes) -> None:
    _, joint = joined(source, begins=0, times=1)
    frames = Frames()
    list(frames.feed(source))
    shift = joint.gap_free(frames.first, frame_ticks=3600, wanted=100 * CLOCK)
    earliest = min(frames.first.values())
    assert (earliest + shift) % WRAP == 100 * CLOCK


@pytest.mark.parametrize("data", [b"x" * 188, b"G" + b"\0" * 187 + b"x" * 188], ids=["at once", "later"])
def test_what_is_no_transport_stream_is_said(data: bytes) -> None:
    with pytest.raises(TransportError):
        list(Frames().feed(data))


@given(st.binary(max_size=600))
def test_garbage_never_does_worse(data: bytes) -> None:
    frames, joint = Frames(), Joint()
    body = b"".join(b"G" + data[at : at + 187].ljust(187, b"\0") for at in range(0, len(data), 187))
    for packets, _ in frames.feed(body):
        assert len(joint.emit(packets, 12345)) == sum(len(packet) for packet in packets)


@given(st.integers(0, WRAP - 1), st.integers(-(1 << 31), 1 << 31))
def test_differences_know_the_circle(moment: int, step: int) -> None:
    assert since((moment + step) % WRAP, moment) == step
