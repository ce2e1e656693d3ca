"""Which files are targets, and what ffmpeg is told."""

from pathlib import Path

import pytest

from workloads.restream.config import targets
from workloads.restream.target import Target, command


def test_each_file_with_an_address_is_a_target(tmp_path: Path) -> None:
    (tmp_path / "yt").write_text("rtmp://a.example/live/key\n")
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "..data").mkdir()
    (tmp_path / ".hidden").write_text("x")
    assert targets(tmp_path) == {"yt": "rtmp://a.example/live/key"}
    assert targets(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(("url", "container"), [("rtmps://a/live/k", "flv"), ("srt://a:1?streamid=x", "mpegts")])
def test_nothing_is_encoded(url: str, container: str) -> None:
    arguments = command("ffmpeg", "http://o/hls/s/n/master.m3u8", url)
    assert arguments[arguments.index("-c") + 1] == "copy"
    assert arguments[-2:] == [container, url]


async def test_another_scheme_is_refused_without_a_try() -> None:
    async def nowhere() -> str:
        raise AssertionError("must not be asked for")

    target = Target("yt", "file:///etc/passwd", "ffmpeg", nowhere)
    await target.run()
    assert target.report()["state"] == "Failed"
    assert "rtmp" in target.report()["reason"]
    assert "passwd" not in str(target.report())
