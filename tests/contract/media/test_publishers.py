"""Who may publish, and what a broken publisher can do: nothing to the others."""

import asyncio
import subprocess

import httpx
from media_plane import KEY, Plane, Publisher, eventually, master


def push(ffmpeg: str, url: str, seconds: float = 20) -> subprocess.CompletedProcess[bytes]:
    """Publish with plain ffmpeg until it is refused or done."""
    source = [ffmpeg, "-hide_banner", "-loglevel", "verbose", "-re", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25"]
    coding = ["-t", str(seconds), "-c:v", "libx264", "-tune", "zerolatency", "-g", "25", "-f", "flv", url]
    return subprocess.run([*source, *coding], capture_output=True, timeout=60, check=False)


async def test_a_wrong_key_is_refused_in_the_publish_reply(plane: Plane, ffmpeg: str) -> None:
    result = await asyncio.to_thread(push, ffmpeg, plane.rtmp_url.replace(KEY, "sk-wrong"))
    assert result.returncode != 0
    assert b"unknown stream key" in result.stderr
    assert "sk-wrong" not in plane.log("ingest")


async def test_a_second_publisher_is_refused_and_the_first_stays(
    plane: Plane, viewer: httpx.AsyncClient, ffmpeg: str
) -> None:
    Publisher(plane)
    await eventually(lambda: master(viewer))
    result = await asyncio.to_thread(push, ffmpeg, plane.rtmp_url)
    assert result.returncode != 0
    assert b"already publishing" in result.stderr
    assert plane.log("ingest").count("publisher accepted") == 1
    assert "publisher left" not in plane.log("ingest")


async def test_garbage_ends_only_its_own_connection(plane: Plane, ffmpeg: str) -> None:
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x03" + bytes(3072) + b"\xff" * 5000, b"\x03" + bytes(100)):
        reader, writer = await asyncio.open_connection("127.0.0.1", plane.ports["rtmp"])
        writer.write(garbage)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 10)
        writer.close()
    async with httpx.AsyncClient() as client:
        metrics = (await client.get(f"http://127.0.0.1:{plane.ports['ingest']}/metrics")).text
    assert 'haat_ingest_protocol_errors_total{stage="handshake"} 1.0' in metrics
    assert 'haat_ingest_protocol_errors_total{stage="chunk"} 1.0' in metrics
    result = await asyncio.to_thread(push, ffmpeg, plane.rtmp_url, 2)
    assert result.returncode == 0, result.stderr.decode()[-500:]


async def test_the_upload_s_contract(plane: Plane) -> None:
    url = f"http://127.0.0.1:{plane.ports['transcoder']}/ingest"
    async with httpx.AsyncClient() as client:
        assert (await client.post(url, content=b"x")).status_code == 401
        wrong = await client.post(url, content=b"no flv at all", headers={"Authorization": f"Bearer {KEY}"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "not_flv")


async def test_an_unknown_stream_is_not_found_and_a_lost_origin_is_unavailable(plane: Plane) -> None:
    async with httpx.AsyncClient(base_url=plane.edge, timeout=20) as client:
        unknown = await client.get("/hls/shop/nothing/master.m3u8")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_stream")
        assert (await client.post("/hls/shop/launch/master.m3u8")).status_code == 405
        plane.kill("transcoder")
        away = await client.get("/hls/shop/launch/360p/1.m4s")
    assert (away.status_code, away.json()["code"], away.headers["retry-after"]) == (503, "origin_away", "1")
