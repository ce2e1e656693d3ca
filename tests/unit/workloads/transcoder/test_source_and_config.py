"""What is learned of the publisher, and what is read from mounted files."""

import json
import os
from pathlib import Path

import pytest

from workloads.common import amf, flv
from workloads.common.mounted import ConfigError
from workloads.transcoder.config import StreamKey, load_stream
from workloads.transcoder.source import PROBE_MILLISECONDS, Meter, Probe

METADATA = amf.encode("onMetaData", {"width": 1280.0, "height": 720.0, "framerate": 25.0})


def probe(*tags: flv.Tag) -> Probe:
    found = Probe()
    for tag in tags:
        found.add(tag)
    return found


def test_sound_and_picture_are_enough() -> None:
    found = probe(
        flv.Tag(flv.SCRIPT, 0, METADATA),
        flv.Tag(flv.VIDEO, 0, b"\x17\x01\x00\x00\x00x"),
        flv.Tag(flv.AUDIO, 0, b"\xaf\x01x"),
    )
    assert found.ready()
    source = found.result()
    assert (source.width, source.height, source.fps, source.has_audio) == (1280, 720, 25.0, True)


def test_a_silent_source_is_accepted_after_its_time() -> None:
    frame = b"\x17\x01\x00\x00\x00x"
    assert not probe(flv.Tag(flv.VIDEO, 0, frame)).ready()
    found = probe(flv.Tag(flv.VIDEO, 0, frame), flv.Tag(flv.VIDEO, PROBE_MILLISECONDS, frame))
    assert found.ready()
    assert (found.result().has_audio, found.result().short_side) == (False, None)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, "720", None])
def test_absurd_metadata_is_ignored(value: object) -> None:
    found = probe(flv.Tag(flv.SCRIPT, 0, amf.encode("onMetaData", {"height": value, "framerate": value})))
    assert (found.result().height, found.result().fps) == (None, None)


def test_the_meter_forgets() -> None:
    now = [0.0]
    meter = Meter(lambda: now[0])
    for second in range(10):
        now[0] = float(second)
        meter.add(125_000, 25)
    assert meter.kbps() == pytest.approx(1000, rel=0.35)
    now[0] = 60.0
    assert (meter.kbps(), meter.fps()) == (0.0, 0.0)


def write_stream(path: Path, **changes: object) -> Path:
    rung = {"name": "720p", "width": 1280, "height": 720, "fps": 30, "video_kbps": 2800}
    path.write_text(json.dumps({"stream": "shop/launch", "ladder": {"rungs": [rung]}} | changes))
    return path


def test_the_stream_file_is_read_with_defaults(tmp_path: Path) -> None:
    spec = load_stream(write_stream(tmp_path / "stream.json", title="Eid"))
    assert (spec.stream, spec.ladder.part_seconds, spec.ladder.cut_seconds) == ("shop/launch", 0.2, 2.0)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"stream": "launch"}, "stream"), ({"ladder": {"rungs": []}}, "ladder.rungs"), ({"ladder": {}}, "ladder.rungs")],
)
def test_a_wrong_stream_file_names_its_field(tmp_path: Path, changes: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        load_stream(write_stream(tmp_path / "stream.json", **changes))


def test_a_missing_or_broken_stream_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.json"):
        load_stream(tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ConfigError, match="not JSON"):
        load_stream(tmp_path / "broken.json")


def test_the_key_is_read_again_when_it_changes_and_survives_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("first\nof-the-channel\n")
    key = StreamKey(path)
    assert key.own() == "first"
    assert [key.accepts(given) for given in ("first", "of-the-channel", "second", "")] == [True, True, False, False]
    path.write_text("second-key")
    assert key.own() == "second-key"
    os.unlink(path)
    assert key.accepts("second-key")
    assert not key.accepts("first")
    assert not StreamKey(None).accepts("")
