"""Encoders by name, what they are asked for, and when the source needs none."""

import sys
from pathlib import Path

import pytest

from workloads.common import flv
from workloads.transcoder.config import Ladder, Rung
from workloads.transcoder.encode import command, hardware
from workloads.transcoder.encode.command import EncodePlan
from workloads.transcoder.encode.hardware import EncoderUnavailable, Hardware
from workloads.transcoder.encode.intake import Intake
from workloads.transcoder.encode.ladder import choose
from workloads.transcoder.encode.passthrough import Passthrough
from workloads.transcoder.package.grid import SourceGrid
from workloads.transcoder.source import Source

LADDER = Ladder(
    rungs=tuple(
        Rung(name=f"{height}p", width=width, height=height, fps=30, video_kbps=kbps)
        for width, height, kbps in ((3840, 2160, 14_000), (1280, 720, 2800), (640, 360, 700))
    )
)
SOURCE = Source(1280, 720, 25.0, has_video=True, has_audio=True)


def plan(kind: Hardware = Hardware.CPU, *, passthrough: bool = False, source: Source = SOURCE) -> EncodePlan:
    rungs = tuple(choose(LADDER, source, passthrough=passthrough))
    return EncodePlan(rungs, True, LADDER, 5.0, "superfast", kind)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", None), ("cpu", Hardware.CPU), ("x264", Hardware.CPU), ("NVENC", Hardware.NVENC), ("qsv", Hardware.QSV)],
)
def test_encoders_by_name(value: str, expected: Hardware | None) -> None:
    assert hardware.parse(value) == expected


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(EncoderUnavailable, match="nvenc, vaapi, qsv"):
        hardware.parse("gpu")


GOLDEN = {
    Hardware.CPU: "-c:v libx264 -preset superfast -tune zerolatency -forced-idr 1 -profile:v high",
    Hardware.NVENC: "-c:v h264_nvenc -preset p1 -tune ull -rc cbr -zerolatency 1 -delay 0 -bf 0 -forced-idr 1 -profile:v high",
    Hardware.VAAPI: "-c:v h264_vaapi -compression_level 7 -rc_mode CBR -async_depth 1 -bf 0 -idr_interval 0 -profile:v high",
    Hardware.QSV: "-c:v h264_qsv -preset veryfast -async_depth 1 -bf 0 -forced_idr 1 -low_delay_brc 1 -profile:v high",
}


@pytest.mark.parametrize("kind", list(Hardware))
def test_the_command_line_of_each_encoder(kind: Hardware) -> None:
    made = plan(kind)
    text = " ".join(command.build("ffmpeg", made, dict.fromkeys(made.names, 5)))
    assert GOLDEN[kind] in text
    assert ("hwupload" in text) == (kind in (Hardware.VAAPI, Hardware.QSV))
    assert ("-vaapi_device /dev/dri/renderD128" in text) == (kind == Hardware.VAAPI)
    assert ("-x264-params" in text) == (kind == Hardware.CPU)


def test_a_proven_encoder_is_used_and_a_broken_one_is_named(tmp_path: Path) -> None:
    works, fails = tmp_path / "works", tmp_path / "fails"
    works.write_text(f"#!{sys.executable}\n")
    fails.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('no device')\n")
    for script in (works, fails):
        script.chmod(0o755)
    assert hardware.choose(str(works), Hardware.NVENC, []) == Hardware.NVENC
    assert hardware.choose(str(works), None, [Hardware.VAAPI]) == Hardware.VAAPI
    assert hardware.choose(str(fails), None, [Hardware.VAAPI]) == Hardware.CPU
    with pytest.raises(EncoderUnavailable, match=r"nvenc.*no device"):
        hardware.choose(str(fails), Hardware.NVENC, [])


def test_the_source_s_own_rung_is_copied_and_the_others_follow_its_key_frames() -> None:
    made = plan(passthrough=True)
    assert [(rung.name, rung.copied) for rung in made.rungs] == [("720p", True), ("360p", False)]
    assert command.filter_graph(made) == "[0:v:0]scale=640:360:flags=bilinear,setsar=1,format=yuv420p[v0]"
    text = " ".join(command.build("ffmpeg", made, {"720p": 5, "360p": 6, "audio": 7}))
    assert "-map 0:v:0 -c:v copy" in text
    assert "-force_key_frames source" in text


def test_a_source_between_two_rungs_is_encoded() -> None:
    assert not any(rung.copied for rung in plan(passthrough=True, source=Source(1000, 562, 25.0)).rungs)


def test_a_4k_source_has_its_4k_rung() -> None:
    made = plan(passthrough=True, source=Source(3840, 2160, 30.0))
    assert next((rung.name, rung.width, rung.copied) for rung in made.rungs) == ("2160p", 3840, True)


def sent(
    group_ms: int = 2000, *, protocol: str = "rtmp", reorder: int = 0, size: int = 10_000, seconds: int = 10
) -> bool:
    """Whether such a source still fits after some seconds."""
    intake, found = Intake(), Passthrough(LADDER, protocol, wanted=True)
    found.add(intake.add(flv.Tag(flv.VIDEO, 0, b"\x17\x00\x00\x00\x00avcc")))
    for at in range(0, seconds * 1000, 40):
        head = (b"\x27" if at % group_ms else b"\x17") + b"\x01" + reorder.to_bytes(3, "big")
        found.add(intake.add(flv.Tag(flv.VIDEO, at, head + bytes(size))))
    return found.fits(SOURCE)


def test_which_sources_fit() -> None:
    assert sent()
    assert sent(group_ms=1000)
    assert not sent(group_ms=8000), "key frames too far apart"
    assert not sent(reorder=40), "frames are reordered"
    assert not sent(protocol="whip"), "key frames come when somebody asks"
    assert not sent(size=60_000), "far above the rung's bit rate"


def test_cuts_follow_the_source_s_key_frames() -> None:
    grid = SourceGrid(100.0, 2.0)
    assert grid.next_cut(100.0) == float("inf")
    for at in (100.0, 100.5, 101.0, 101.6, 102.0, 103.5, 104.0):
        grid.key_frame(at)
    assert [grid.next_cut(at) for at in (100.0, 101.5, 101.6, 103.5)] == [101.6, 101.6, 103.5, float("inf")]
