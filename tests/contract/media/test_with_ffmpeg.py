"""Parsers against what ffmpeg really writes."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from hack.testsource import barcode
from hack.testsource.scene import Scene
from workloads.common import flv
from workloads.common.cmaf.fragment import Fragment, FragmentReader, Init, pack_chunk
from workloads.transcoder.protect.keys import Drm, Keys, Method
from workloads.transcoder.protect.protector import Protector
from workloads.transcoder.source import Probe


def encode(ffmpeg: str, *arguments: str, data: bytes | None = None) -> bytes:
    command = [ffmpeg, "-v", "error", *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=60).stdout


@pytest.mark.parametrize(
    ("size", "rate", "profile"),
    [("640x360", "25", "baseline"), ("854x480", "30", "main"), ("1280x720", "60", "high"), ("362x642", "24", "high")],
)
def test_the_probe_reads_size_and_rate_from_the_sequence_header(
    ffmpeg: str, size: str, rate: str, profile: str
) -> None:
    source = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}", "-f", "lavfi", "-i", "sine"]
    data = encode(
        ffmpeg, *source, "-t", "0.5", "-c:v", "libx264", "-profile:v", profile, "-c:a", "aac", "-f", "flv", "-"
    )
    probe = Probe()
    for tag in flv.TagReader().feed(data):
        if tag.kind != flv.SCRIPT:
            probe.add(tag)
    found = probe.result()
    assert f"{found.width}x{found.height}" == size
    assert found.fps == float(rate)


def test_fragments_of_ffmpeg_hold_every_frame(ffmpeg: str) -> None:
    flags = "empty_moov+default_base_moof+frag_every_frame+frag_discont"
    source = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25", "-t", "2", "-c:v", "libx264", "-tune", "zerolatency"]
    timing = ["-video_track_timescale", "90000", "-use_editlist", "0", "-output_ts_offset", "60000000"]
    timing += ["-avoid_negative_ts", "disabled"]
    data = encode(ffmpeg, *source, "-g", "25", *timing, "-f", "mp4", "-movflags", flags, "pipe:1")
    init, *fragments = list(FragmentReader().feed(data))
    assert isinstance(init, Init)
    assert (init.codec[:5], init.width, init.height) == ("avc1.", 320, 180)
    frames = [fragment for fragment in fragments if isinstance(fragment, Fragment)]
    assert len(frames) == 50
    assert [index for index, fragment in enumerate(frames) if fragment.starts_with_sync] == [0, 25]
    assert [fragment.decode_time - 60_000_000 * 90_000 for fragment in frames] == [index * 3600 for index in range(50)]


@pytest.mark.parametrize(("size", "scaled"), [((1280, 720), (640, 360)), ((720, 1280), (360, 640))])
def test_the_clock_survives_scaling_and_a_poor_encode(
    ffmpeg: str, tmp_path: Path, size: tuple[int, int], scaled: tuple[int, int]
) -> None:
    scene = Scene(*size)
    times = [1_800_000_000.123 + index * 0.04 for index in range(10)]
    raw = b"".join(bytes(scene.frame(at)) for at in times)
    path = tmp_path / "poor.mp4"
    source = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{size[0]}x{size[1]}", "-r", "25", "-i", "-"]
    poor = ["-vf", f"scale={scaled[0]}:{scaled[1]}", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "35"]
    encode(ffmpeg, *source, *poor, "-y", str(path), data=raw)
    decoded = encode(ffmpeg, "-i", str(path), "-f", "rawvideo", "-pix_fmt", "gray", "-")
    frames = np.frombuffer(decoded, np.uint8).reshape(-1, scaled[1], scaled[0])
    assert [barcode.read(frame) for frame in frames] == [int(at * 1000) for at in times]


@pytest.mark.parametrize(
    "coding", [["-tune", "zerolatency"], ["-bf", "2"], ["-x264-params", "weightp=2:ref=4:slices=3"]]
)
def test_what_is_encrypted_can_be_decrypted_by_another_implementation(
    ffmpeg: str, tmp_path: Path, coding: list[str]
) -> None:
    flags = "empty_moov+default_base_moof+frag_every_frame+frag_discont"
    source = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25", "-t", "2", "-pix_fmt", "yuv420p", "-c:v", "libx264"]
    data = encode(ffmpeg, *source, *coding, "-g", "25", "-f", "mp4", "-movflags", flags, "pipe:1")
    init, *fragments = list(FragmentReader().feed(data))
    assert isinstance(init, Init)
    protector = Protector(Keys(bytes(32), "shop/launch", Drm(method=Method.CBCS)))
    chunks = [pack_chunk(index, [item]) for index, item in enumerate(fragments) if isinstance(item, Fragment)]
    protected = [protector.part(chunk, init, 0, video=True) for chunk in chunks]
    assert all(secret != clear for secret, clear in zip(protected, chunks, strict=True))
    clear_file, secret_file = tmp_path / "clear.mp4", tmp_path / "secret.mp4"
    clear_file.write_bytes(init.data + b"".join(chunks))
    secret_file.write_bytes(protector.init(init, 0).data + b"".join(protected))
    frames = ["-f", "framemd5", "-"]
    key = protector.keys.of_segment(0).key.hex()
    expected = encode(ffmpeg, "-i", str(clear_file), *frames)
    assert encode(ffmpeg, "-decryption_key", key, "-i", str(secret_file), *frames) == expected
    wrong = subprocess.run(
        [ffmpeg, "-v", "error", "-decryption_key", "00" * 16, "-i", str(secret_file), *frames],
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert wrong.stdout != expected
