"""A source that fits a rung becomes that rung, on one grid with the others; one that breaks its word is encoded."""

import json
from pathlib import Path

import httpx
import pytest
from media_plane import RUNGS, Plane, Publisher, enough, eventually
from test_overload import encoder_of, segment_times

pytestmark = pytest.mark.slow

TOP, LOW = RUNGS[0][0], RUNGS[1][0]


def restart(plane: Plane, folder: Path, *, segment_seconds: float) -> None:
    plane.kill("transcoder")
    spec = json.loads((folder / "stream.json").read_text())
    spec["ladder"] |= {"gop_seconds": segment_seconds, "segment_seconds": segment_seconds}
    (folder / "stream.json").write_text(json.dumps(spec))
    plane.start("transcoder", HAAT_PASSTHROUGH="true")


def arguments_of(pid: int) -> list[bytes]:
    """The command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


async def test_the_source_is_its_own_rung_and_all_are_cut_together(
    plane: Plane, viewer: httpx.AsyncClient, tmp_path: Path
) -> None:
    restart(plane, tmp_path, segment_seconds=2.0)
    Publisher(plane)
    await eventually(lambda: enough(viewer, TOP, 3))
    await eventually(lambda: enough(viewer, LOW, 3))
    starts = {}
    for name in (TOP, LOW, "audio"):
        text = (await viewer.get(f"{name}/media.m3u8")).text
        assert "#EXT-X-DISCONTINUITY\n" not in text
        starts[name] = [start for start, _ in segment_times(text)][1:3]
    for name in (LOW, "audio"):
        assert all(abs(a - b) < 0.05 for a, b in zip(starts[TOP], starts[name], strict=True)), starts
    assert "encoder replaced" not in plane.log("transcoder")
    words = arguments_of(encoder_of(plane))
    assert (words.count(b"copy"), words.count(b"libx264")) == (1, 1)


async def test_a_source_with_too_few_key_frames_is_encoded(
    plane: Plane, viewer: httpx.AsyncClient, tmp_path: Path
) -> None:
    restart(plane, tmp_path, segment_seconds=1.0)
    Publisher(plane)
    text = await eventually(lambda: enough(viewer, TOP, 6))
    assert "not passed through any more" in plane.log("transcoder")
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    assert all(end - start < 2.7 for start, end in segment_times(text))
