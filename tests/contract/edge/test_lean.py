"""The hot path on raw sockets: what is pipelined, half sent, malformed, never read; and that it is taken at all."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from tests.contract.edge.conftest import Edge, publish
from tests.contract.edge.keys import Keys
from tests.contract.edge.origin import MEDIA, PART_BYTES, Origin
from tests.support.servers import eventually
from workloads.edge.serve import lean
from workloads.edge.serve.lean import LeanProtocol

GZIP = "Host: e\r\nAccept-Encoding: gzip\r\n\r\n"
PLAIN = "Host: e\r\n\r\n"


class Raw:
    """A client on a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, text: str | bytes) -> None:
        self.writer.write(text.encode("latin-1") if isinstance(text, str) else text)

    async def answer(self, *, head: bool = False) -> tuple[int, dict[str, str], bytes]:
        """The next answer."""
        lines = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        length = 0 if head else int(headers.get("content-length", 0))
        return int(lines[0].split()[1]), headers, await asyncio.wait_for(self.reader.readexactly(length), 10)


@pytest.fixture
async def raw(edge: Edge) -> AsyncIterator[Raw]:
    host, port = edge.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**22)
    yield Raw(reader, writer)
    writer.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each request that was tried the fast way was answered so."""
    tried: list[bool] = []
    real = LeanProtocol._quick

    def spy(self: LeanProtocol, data: bytes, block: bytes, head: lean.Head) -> bool:
        tried.append(real(self, data, block, head))
        return tried[-1]

    monkeypatch.setattr(LeanProtocol, "_quick", spy)
    return tried


async def test_the_second_request_of_a_viewer_is_answered_without_parsing(
    raw: Raw, redis: Redis, origin: Origin, quick: list[bool]
) -> None:
    path = f"/hls/{await publish(redis, origin.url)}/720p"
    for name in ("1.0.m4s", "1.1.m4s", "1.2.m4s", "1.2.m4s"):
        raw.send(f"GET {path}/{name} HTTP/1.1\r\n{GZIP}")
        status, headers, body = await raw.answer()
        assert (status, len(body), headers["content-type"]) == (200, PART_BYTES, "video/mp4")
        assert "immutable" in headers["cache-control"]
    raw.send(f"GET {path}/media.m3u8?_HLS_msn=1 HTTP/1.1\r\n{GZIP}")
    status, headers, body = await raw.answer()
    assert (headers["content-encoding"], headers["vary"], gzip.decompress(body).decode()) == (
        "gzip",
        "accept-encoding",
        MEDIA,
    )
    assert quick.count(True) >= 2
    raw.send(f"GET {path}/media.m3u8?_HLS_msn=1 HTTP/1.1\r\n{PLAIN}")
    status, headers, body = await raw.answer()
    assert ("content-encoding" in headers, body.decode()) == (False, MEDIA), "another header block is another viewer"
    raw.send(f"HEAD {path}/1.0.m4s HTTP/1.1\r\n{PLAIN}")
    assert (await raw.answer(head=True))[1]["content-length"] == str(PART_BYTES)
    raw.send(f"GET {path}/1.0.m4s HTTP/1.1\r\nRange: bytes=0-1\r\n{PLAIN}")
    assert (await raw.answer())[0] == 200, "ranges are ignored"
    raw.send(f"DELETE {path}/1.0.m4s HTTP/1.1\r\n{PLAIN}")
    status, headers, _ = await raw.answer()
    assert (status, headers["allow"]) == (405, "get, head, options")
    assert origin.asked.total() == 4


async def test_answers_never_overtake_each_other(raw: Raw, redis: Redis, origin: Origin) -> None:
    path = f"/hls/{await publish(redis, origin.url)}/720p"
    names = ["1.0.m4s", "media.m3u8?_HLS_msn=9", "404.m4s", "1.0.m4s", "../x", "media.m3u8", "1.3.m4s"]
    raw.send(f"GET {path}/1.0.m4s HTTP/1.1\r\n{PLAIN}")
    await raw.answer()
    origin.delay = 0.05
    burst = "".join(f"GET {path}/{name} HTTP/1.1\r\n{PLAIN}" for name in names)
    burst += f"GET /healthz HTTP/1.1\r\n{PLAIN}POST /api/v1/playback/revoke HTTP/1.1\r\nContent-Length: 2\r\n{PLAIN[:-2]}\r\n{{}}"
    burst += f"GET {path}/1.4.m4s HTTP/1.1\r\n{PLAIN}"
    expected = [200, 200, 404, 200, 404, 200, 200, 200, 422, 200]
    for cut in (len(burst), 7, 301):
        for start in range(0, len(burst), cut):
            raw.send(burst[start : start + cut])
            if cut < len(burst):
                await asyncio.sleep(0.001)
        assert [(await raw.answer())[0] for _ in expected] == expected, cut
    # One request at a time, the second while the first is waited for.
    raw.send(f"GET {path}/2.0.m4s HTTP/1.1\r\n{PLAIN}")
    await asyncio.sleep(0.02)
    raw.send(f"GET {path}/404.1.m4s HTTP/1.1\r\n{PLAIN}GET /healthz HTTP/1.1\r\n{PLAIN}")
    assert [(await raw.answer())[0] for _ in range(3)] == [200, 404, 200]


@pytest.mark.parametrize(
    "text",
    [
        "GET {path} HTTP/1.1\r\nHost: e\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET {path} HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "GET {path} HTTP/1.1\r\nHost : e\r\n\r\n",
        "GET {path} HTTP/1.1\r\nHost: e\r\n folded\r\n\r\n",
        "GET {path}?a b HTTP/1.1\r\nHost: e\r\n\r\n",
        "GET {path}?a\nX: y HTTP/1.1\r\nHost: e\r\n\r\n",
        "GET {path} HTTP/9.1\r\nHost: e\r\n\r\n",
        "\x16\x03\x01\x02\x00 not http at all\r\n\r\n",
    ],
)
async def test_what_two_parsers_could_read_in_two_ways_is_refused(
    raw: Raw, redis: Redis, origin: Origin, text: str
) -> None:
    path = f"/hls/{await publish(redis, origin.url)}/720p/1.0.m4s"
    raw.send(f"GET {path} HTTP/1.1\r\nHost: e\r\n\r\n")
    await raw.answer()
    raw.send(text.format(path=path))
    assert (await raw.answer())[0] == 400
    assert await asyncio.wait_for(raw.reader.read(), 10) == b"", "the connection is closed"


async def test_a_body_goes_the_long_way_and_smuggles_nothing(raw: Raw, redis: Redis, origin: Origin) -> None:
    path = f"/hls/{await publish(redis, origin.url)}/720p/1.0.m4s"
    inner = "GET /hls/shop/smuggled/720p/1.0.m4s HTTP/1.1\r\nHost: e\r\n\r\n"
    for _ in range(2):
        raw.send(f"GET {path} HTTP/1.1\r\nHost: e\r\nContent-Length: {len(inner)}\r\n\r\n{inner}")
        assert (await raw.answer())[0] == 200
    raw.send(f"GET {path} HTTP/1.1\r\n{PLAIN}")
    assert (await raw.answer())[0] == 200
    assert not any("smuggled" in key for key in origin.asked)


@pytest.mark.parametrize("size", [20_000, 300_000])
async def test_a_head_without_end_is_refused(raw: Raw, size: int) -> None:
    raw.send(f"GET /hls/a/b/master.m3u8 HTTP/1.1\r\nX: {'x' * size}")
    raw.send("\r\n\r\n" if size < 100_000 else "y")
    try:
        assert (await raw.answer())[0] == 431
    except ConnectionResetError:
        assert size > 100_000, "what was sent after the refusal may cost its sender the refusal itself"


async def test_bogus_addresses(raw: Raw, redis: Redis, origin: Origin) -> None:
    stream = await publish(redis, origin.url)
    for path in (f"/hls/{stream}/720p/%31.0.m4s", f"/hls/{stream}/720p/1.0.m4s?%zz&token=%ff&as_country=%"):
        raw.send(f"GET {path} HTTP/1.1\r\n{PLAIN}")
        assert (await raw.answer())[0] == 200
    for path in ("/hls/%ff%fe/x", f"/hls/{stream}/%00.m4s", f"/hls/{stream}/720p/%", "/hls/", "/hls/%2e%2e/%2e%2e/x"):
        raw.send(f"GET {path} HTTP/1.1\r\n{PLAIN}")
        assert (await raw.answer())[0] == 404, path


async def test_a_viewer_that_never_reads_is_cut_and_costs_no_memory(
    edge: Edge, redis: Redis, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lean, "STALLED_SECONDS", 0.0)
    origin.part_bytes = 300_000
    path = f"/hls/{await publish(redis, origin.url)}/720p/1.0.m4s"
    host, port = edge.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    for _ in range(100):
        writer.write(f"GET {path} HTTP/1.1\r\n{PLAIN}".encode())
        await asyncio.sleep(0.002)
    (connection,) = edge.plane.hub.connections
    assert isinstance(connection, LeanProtocol)
    await eventually(lambda: connection.flow.write_paused)
    assert connection.transport.get_write_buffer_size() < 2 * 300_000 + 65_536
    now = asyncio.get_running_loop().time()
    connection.sweep(now)
    connection.sweep(now + 1)
    await eventually(lambda: not edge.plane.hub.connections)
    writer.close()
    assert reader is not None


async def test_one_that_reads_at_last_gets_everything(raw: Raw, redis: Redis, origin: Origin) -> None:
    origin.part_bytes = 1_000_000
    path = f"/hls/{await publish(redis, origin.url)}/720p/1.0.m4s"
    for _ in range(20):
        raw.send(f"GET {path} HTTP/1.1\r\n{PLAIN}")
        await asyncio.sleep(0.002)
    for _ in range(20):
        status, _, body = await raw.answer()
        assert (status, len(body)) == (200, 1_000_000)


async def test_idle_connections_and_slow_heads_are_closed(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    host, port = edge.address.split(":")
    for text in ("", "GET /hls/a/b/master.m3u8 HTTP/1.1\r\nHost: e\r\nX"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(text.encode())
        await eventually(lambda: len(edge.plane.hub.connections) == 1)
        await asyncio.sleep(0.05)
        (connection,) = edge.plane.hub.connections
        now = asyncio.get_running_loop().time()
        connection.sweep(now + (lean.HEAD_SECONDS if text else lean.IDLE_SECONDS) - 1)
        assert edge.plane.hub.connections
        connection.sweep(now + (lean.HEAD_SECONDS if text else lean.IDLE_SECONDS) + 1)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        await eventually(lambda: not edge.plane.hub.connections)


@pytest.mark.race
async def test_viewers_that_leave_do_not_end_the_fetch_of_others(edge: Edge, redis: Redis, origin: Origin) -> None:
    path, origin.delay = f"/hls/{await publish(redis, origin.url)}/720p/1.0.m4s", 0.3
    host, port = edge.address.split(":")

    async def viewer(*, leaves: bool) -> int:
        reader, writer = await asyncio.open_connection(host, int(port), limit=2**20)
        writer.write(f"GET {path} HTTP/1.1\r\n{PLAIN}".encode())
        if leaves:
            await asyncio.sleep(0.05)
            writer.transport.abort()
            return 0
        found = await Raw(reader, writer).answer()
        writer.close()
        return len(found[2])

    found = await asyncio.gather(*(viewer(leaves=index % 2 == 0) for index in range(60)))
    assert sorted(found) == [0] * 30 + [PART_BYTES] * 30
    assert origin.asked[path] == 1


async def test_a_proxys_connection_carries_many_viewers(raw: Raw, redis: Redis, origin: Origin) -> None:
    keys = Keys()
    stream = await publish(redis, origin.url, **keys.rules())
    path, good = f"/hls/{stream}/720p/1.0.m4s", f"Cookie: haat_playback={keys.token(stream)}\r\n"
    bound = keys.token(stream, address="203.0.113.7")
    cases = [
        (good, 200), ("", 403), (good, 200), ("Cookie: haat_playback=x\r\n", 403), ("", 403),
        (f"Cookie: haat_playback={bound}\r\nX-Forwarded-For: 203.0.113.7\r\n", 200),
        (f"Cookie: haat_playback={bound}\r\nX-Forwarded-For: 203.0.113.8\r\n", 403),
        (f"Cookie: haat_playback={bound}\r\nX-Forwarded-For: 203.0.113.7\r\n", 200),
    ]  # fmt: skip
    for _ in range(3):
        for header, status in cases:
            raw.send(f"GET {path} HTTP/1.1\r\n{header}{PLAIN}")
            assert (await raw.answer())[0] == status, header
    for query, status in ((f"?token={keys.token(stream)}", 200), ("?token=x", 403), ("", 403)):
        raw.send(f"GET {path}{query} HTTP/1.1\r\n{PLAIN}")
        assert (await raw.answer())[0] == status, query


async def test_a_part_that_never_comes_ends_in_a_refusal(raw: Raw, redis: Redis, origin: Origin) -> None:
    stream = await publish(redis, origin.url)
    raw.send(f"GET /hls/{stream}/720p/8.0.m4s HTTP/1.1\r\n{PLAIN}")
    status, headers, _ = await raw.answer()
    assert (status, headers["retry-after"]) == (503, "1")
