"""The playout with real ffmpeg and the real ingest: whatever is on, the publication is one."""

import asyncio
import hashlib
import json
import signal
import time
from itertools import pairwise
from pathlib import Path

import redis
from media_plane import KEY, STREAM, Plane, Publisher, free_port, write_files
from sink import Playout, Sink, runs, until, uri

from workloads.common import flv


def whole(sink: Sink) -> None:
    """One publication whose picture and sound only go forward, and together."""
    assert sink.uploads == 1
    for kind in (flv.VIDEO, flv.AUDIO):
        times = sink.times(kind)
        assert all(one < two for one, two in pairwise(times))
    assert abs(sink.times(flv.VIDEO)[-1] - sink.times(flv.AUDIO)[-1]) < 1500


def beat(plane: Plane) -> dict:
    """What the playout says of itself."""
    with redis.Redis(port=plane.ports["redis"], decode_responses=True) as store:
        return dict(json.loads(store.hget("haat:heartbeats", "playout/shop/tele/playout-0") or "{}"))


async def test_two_films_and_a_slate_in_a_row_are_one_publication(
    plane: Plane, sink: Sink, films: Path, ffmpeg: str
) -> None:
    playout, start = Playout(plane), time.time() + 4
    playout.plan((start, start + 4, "a", uri(films / "red.mp4")), (start + 4, start + 8, "b", uri(films / "blue.mp4")))
    playout.start()
    await until(lambda: time.time() > start + 11)
    whole(sink)
    times = sink.times(flv.VIDEO)
    assert max(two - one for one, two in pairwise(times)) < 1000
    assert times[-1] - times[0] > 9_000
    assert runs(sink.colours(ffmpeg)) == ["slate", "red", "blue", "slate"]


async def test_a_film_that_is_on_is_joined_where_it_would_be(
    plane: Plane, sink: Sink, films: Path, ffmpeg: str
) -> None:
    playout, now = Playout(plane), time.time()
    playout.plan((now - 25, now + 60, "a", uri(films / "turning.mp4")), began=now - 25)
    playout.start()
    await until(lambda: beat(plane).get("slot") == "a")
    await until(lambda: len(sink.times(flv.VIDEO)) > 75)
    assert "red" not in sink.colours(ffmpeg)
    assert "blue" in sink.colours(ffmpeg)


async def test_a_film_without_sound_and_one_that_is_too_short(
    plane: Plane, sink: Sink, films: Path, ffmpeg: str
) -> None:
    playout, start = Playout(plane), time.time() + 3
    playout.plan(
        (start, start + 4, "mute", uri(films / "mute.mp4")), (start + 4, start + 9, "short", uri(films / "short.mp4"))
    )
    playout.start()
    await until(lambda: time.time() > start + 9)
    whole(sink)
    seen = runs(sink.colours(ffmpeg))
    assert seen[-1] == "slate"
    assert "red" in seen


async def test_a_source_that_fails_is_slate_until_it_works(plane: Plane, sink: Sink, films: Path, ffmpeg: str) -> None:
    port, playout, now = free_port(), Playout(plane), time.time()
    playout.plan((now - 1, now + 120, "a", f"http://127.0.0.1:{port}/red.mp4"))
    playout.start()
    await until(lambda: beat(plane).get("failing") == "a" and sink.times(flv.VIDEO))
    assert beat(plane)["kind"] == "slate"
    server = plane.run("films", ["python3", "-m", "http.server", str(port), "--bind", "127.0.0.1", "-d", str(films)])
    await until(lambda: beat(plane).get("slot") == "a")
    assert beat(plane)["failing"] == ""
    await asyncio.sleep(1)
    assert server.poll() is None
    whole(sink)
    assert runs(sink.colours(ffmpeg)) == ["slate", "red"]


async def test_another_schedule_is_followed_at_once(plane: Plane, sink: Sink, films: Path, ffmpeg: str) -> None:
    playout, now = Playout(plane), time.time()
    playout.plan((now - 1, now + 120, "a", uri(films / "red.mp4")), began=now)
    playout.start()
    await until(lambda: beat(plane).get("slot") == "a")
    await until(lambda: "red" in sink.colours(ffmpeg))
    playout.plan((now - 1, now + 120, "b", uri(films / "blue.mp4")), began=now)
    await until(lambda: beat(plane).get("slot") == "b")
    await asyncio.sleep(1)
    whole(sink)
    assert runs([item for item in sink.colours(ffmpeg) if item != "slate"]) == ["red", "blue"]


async def test_it_stops_in_order_and_never_tells_the_key(plane: Plane, sink: Sink, films: Path) -> None:
    playout, now = Playout(plane), time.time()
    playout.plan((now - 1, now + 120, "a", uri(films / "red.mp4")))
    process = playout.start()
    await until(lambda: len(sink.times(flv.VIDEO)) > 10)
    plane.kill("ingest")
    await until(lambda: "the publication ended" in plane.log("playout"))
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 15) == 0
    assert KEY not in plane.log("playout")


async def test_a_new_key_makes_a_new_connection(plane: Plane, sink: Sink, films: Path) -> None:
    store = redis.Redis(port=plane.ports["redis"])
    digest = hashlib.sha256(b"another-key").hexdigest()
    store.hset("haat:ingest", digest, json.dumps({"stream": "shop/launch", "uid": "u-1", "target": sink.url}))
    playout, now = Playout(plane), time.time()
    playout.plan((now - 1, now + 120, "a", uri(films / "red.mp4")))
    playout.start()
    await until(lambda: len(sink.times(flv.VIDEO)) > 10)
    (plane.folder / "key").write_text("another-key")
    await until(lambda: sink.uploads == 2 and len(sink.times(flv.VIDEO)) > 10)


async def test_a_channel_that_is_relayed_comes_and_goes(plane: Plane, sink: Sink, ffmpeg: str) -> None:
    """The source is another channel's stream, through its transcoder and the edge, as a viewer would get it."""
    store = redis.Redis(port=plane.ports["redis"])
    write_files(plane.folder, "")
    origin = f"http://127.0.0.1:{plane.ports['transcoder']}"
    for key, target in ((KEY, origin), ("tele-key", sink.url)):
        route = {"stream": STREAM, "uid": "u-1", "target": target}
        store.hset("haat:ingest", hashlib.sha256(key.encode()).hexdigest(), json.dumps(route))
    store.hset("haat:channels", "friends", json.dumps({"channel": "shop/friends", "stream": STREAM}))
    await asyncio.to_thread(plane.start, "transcoder", "edge")
    Publisher(plane)
    playout, now = Playout(plane), time.time()
    playout.key_file = "tele-key"
    (plane.folder / "tele-key").write_text("tele-key")
    playout.plan((now - 1, now + 300, "guest", "shop/friends"), kind="relay")
    playout.start()
    await until(lambda: beat(plane).get("failing") == "guest")
    store.hset("haat:streams", STREAM, json.dumps({"uid": "u-1", "origin": origin, "phase": "Live"}))
    await until(lambda: beat(plane).get("slot") == "guest", 60)
    plane.kill("source")
    await until(lambda: beat(plane).get("kind") == "slate", 60)
    await asyncio.sleep(1)
    whole(sink)


async def test_a_server_that_falls_silent_in_the_middle_is_slate(
    plane: Plane, sink: Sink, films: Path, ffmpeg: str
) -> None:
    """The connection stays open, so that nothing but the silence tells."""
    film = (films / "red.mp4").read_bytes()
    part = film[: film.index(b"mdat") + len(film) // 20]
    silent = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(film) + part)
        await silent.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    playout, now = Playout(plane), time.time()
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/red.mp4"
    playout.plan((now - 1, now + 120, "a", address), began=now + 60)
    playout.start()
    await until(lambda: beat(plane).get("slot") == "a")
    await until(lambda: beat(plane).get("failing") == "a" and beat(plane).get("kind") == "slate")
    silent.set()
    server.close()
    await asyncio.sleep(1)
    whole(sink)
    assert runs(sink.colours(ffmpeg))[-2:] == ["red", "slate"]
