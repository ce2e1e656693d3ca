"""Which rungs a source gets, and the encoder's command line."""

import pytest

from workloads.transcoder.config import Ladder, Rung
from workloads.transcoder.encode import command
from workloads.transcoder.encode.command import EncodePlan
from workloads.transcoder.encode.ladder import choose
from workloads.transcoder.source import Source

RUNGS = tuple(
    Rung(name=f"{height}p", width=width, height=height, fps=30, video_kbps=kbps)
    for width, height, kbps in ((1920, 1080, 4500), (1280, 720, 2800), (854, 480, 1200), (640, 360, 700))
)
LADDER = Ladder(rungs=RUNGS)


@pytest.mark.parametrize(
    ("source", "sizes"),
    [
        (Source(1280, 720), ["1280x720", "854x480", "640x360"]),
        (Source(720, 1280), ["720x1280", "480x854", "360x640"]),
        (Source(1920, 1080), ["1920x1080", "1280x720", "854x480", "640x360"]),
        (Source(1440, 1080), ["1440x1080", "960x720", "640x480", "480x360"]),
        (Source(320, 240), ["320x240"]),
        (Source(), ["1920x1080", "1280x720", "854x480", "640x360"]),
    ],
    ids=["720p", "portrait", "1080p", "4:3", "smaller than every rung", "unknown"],
)
def test_rungs_by_short_side_with_the_source_s_aspect_ratio(source: Source, sizes: list[str]) -> None:
    assert [f"{rung.width}x{rung.height}" for rung in choose(LADDER, source)] == sizes


def test_rungs_with_viewers_stay_when_the_source_shrinks() -> None:
    assert [rung.name for rung in choose(LADDER, Source(640, 360), keep={"720p"})] == ["720p", "360p"]


@pytest.mark.parametrize(("fps", "limit"), [(25.0, None), (30.0, None), (60.0, 30.0), (None, 30.0)])
def test_frame_rate_is_limited_and_never_raised(fps: float | None, limit: float | None) -> None:
    assert {rung.fps for rung in choose(LADDER, Source(1280, 720, fps))} == {limit}


def plan(ladder: Ladder = LADDER, *, audio: bool = True) -> EncodePlan:
    source = Source(1280, 720, 25.0, has_video=True, has_audio=audio)
    return EncodePlan(tuple(choose(ladder, source)), audio, ladder, 12.5, "superfast")


def test_filters_scale_in_a_cascade() -> None:
    assert command.filter_graph(plan()) == (
        "[0:v:0]setsar=1,format=yuv420p,split=2[v0][s0];"
        "[s0]scale=854:480:flags=bilinear,setsar=1,format=yuv420p,split=2[v1][s1];"
        "[s1]scale=640:360:flags=bilinear,setsar=1,format=yuv420p[v2]"
    )


@pytest.mark.parametrize(
    ("gop", "segment", "cut", "first", "expression"),
    [
        (2.0, 2.0, 2.0, 1.0, "expr:if(lt(n_forced,2),gte(t,n_forced*1),gte(t,(n_forced-1)*2))"),
        (4.0, 2.0, 4.0, 2.0, "expr:if(lt(n_forced,2),gte(t,n_forced*2),gte(t,(n_forced-1)*4))"),
        (1.0, 2.0, 2.0, 1.0, "expr:gte(t,n_forced*1)"),
        (1.0, 2.5, 3.0, 2.0, "expr:gte(t,n_forced*1)"),
    ],
    ids=["equal", "long group", "short group", "rounded up"],
)
def test_key_frames_fall_on_cuts(gop: float, segment: float, cut: float, first: float, expression: str) -> None:
    made = plan(Ladder(rungs=RUNGS, gop_seconds=gop, segment_seconds=segment))
    assert (made.ladder.cut_seconds, made.first_cut_seconds, command.keyframes(made)) == (cut, first, expression)


def test_every_rendition_has_its_own_pipe() -> None:
    arguments = command.build("ffmpeg", plan(), {"720p": 5, "480p": 6, "360p": 7, "audio": 8})
    assert [item for item in arguments if item.startswith("pipe:")] == [
        "pipe:0",
        "pipe:5",
        "pipe:6",
        "pipe:7",
        "pipe:8",
    ]
    assert arguments.count("-output_ts_offset") == 4
    assert arguments[arguments.index("-output_ts_offset") + 1] == "12.500000"


def test_without_sound_there_is_no_audio_output() -> None:
    silent = plan(audio=False)
    assert "0:a:0" not in command.build("ffmpeg", silent, dict.fromkeys(silent.names, 5))
