"""What may be pulled: public addresses, and what the platform allows besides."""

import ipaddress
from pathlib import Path

import pytest

from workloads.ingest.pull.source import SourceRefused, check, command

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        pytest.param("ftp://example.org/a", "scheme 'ftp'", id="another scheme"),
        pytest.param("concat:/etc/passwd", "scheme 'concat'", id="a protocol of ffmpeg"),
        pytest.param("plain", "scheme 'none'", id="no scheme"),
        pytest.param("http://127.0.0.1/a.ts", "not a public address", id="loopback"),
        pytest.param("http://[::1]/a.ts", "not a public address", id="loopback six"),
        pytest.param("http://169.254.169.254/latest", "not a public address", id="metadata"),
        pytest.param("rtmp://10.0.0.5/live/x", "not a public address", id="private"),
        pytest.param("http://localhost/a.ts", "not a public address", id="by name"),
        pytest.param("http://host.invalid/a.ts", "cannot be looked up", id="unknown name"),
        pytest.param("http:///a.ts", "no host", id="no host"),
        pytest.param("file:///etc/passwd", "below the folder", id="a file"),
    ],
)
async def test_refused(uri: str, reason: str) -> None:
    with pytest.raises(SourceRefused, match=reason):
        await check(uri, allowed=(), root=None)


@pytest.mark.parametrize("uri", ["file:///films/../etc/passwd", "file:///films/%2e%2e/etc/passwd", "file:///filmsx/a"])
async def test_files_stay_below_their_folder(uri: str) -> None:
    with pytest.raises(SourceRefused):
        await check(uri, allowed=(), root=Path("/films"))


async def test_allowed() -> None:
    await check("http://127.0.0.1/a.ts", allowed=LOOPBACK, root=None)
    await check("srt://93.184.215.14:9000", allowed=(), root=None)
    await check("file:///films/a.mp4", allowed=(), root=Path("/films"))


async def test_no_credentials_in_a_refusal() -> None:
    with pytest.raises(SourceRefused) as raised:
        await check("http://rina:secret@127.0.0.1/a.ts", allowed=(), root=None)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("uri", "paced"),
    [("http://a/film.mp4", True), ("file:///films/a.mp4", True), ("http://a/live.m3u8", False), ("srt://a:1", False)],
)
def test_films_are_read_at_the_speed_of_showing(uri: str, paced: bool) -> None:
    arguments = command("ffmpeg", uri)
    assert ("-re" in arguments) is paced
    assert arguments[arguments.index("-protocol_whitelist") + 1].split(",")[0] == uri.partition(":")[0]
