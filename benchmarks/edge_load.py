"""Processes of the edge's benchmark: a paced origin, an edge with or without its hot path, and viewers on raw sockets.

`python -m benchmarks.edge_load origin|serve|watch …`; each writes one JSON line when it is done or ready.
"""

import argparse
import asyncio
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

PART_SECONDS = 0.2
PARTS = 10
SIZES = {"480p": 30_000, "audio": 3_200}
HEADERS = (
    "Host: live.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Safari/537.36\r\nAccept: */*\r\nAccept-Language: en-GB,en;q=0.9\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://live.example/s/bench/show\r\n"
    'sec-ch-ua: "Chromium";v="141"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: "Linux"\r\nSec-Fetch-Dest: empty\r\n'
    "Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n"
)


def position(now: float) -> int:
    """How many parts there are at a moment."""
    return int(now / PART_SECONDS)


class Origin:
    """A live stream without an encoder: part n exists from n x 200 ms on."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer any stream's paths; `/asked` tells what was asked for."""
        path = scope["path"]
        if path == "/asked":
            body = json.dumps(self.asked).encode()
        else:
            query = scope["query_string"].decode()
            key = f"{path}?{query}" if query else path
            self.asked[key] = self.asked.get(key, 0) + 1
            body = await self._body(path, query)
        headers = [(b"content-type", b"video/mp4"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _body(self, path: str, query: str) -> bytes:
        rung, _, file = path.rpartition("/")
        if file.endswith(".m4s"):
            size = SIZES.get(rung.rsplit("/", 1)[-1], 20_000)
            return bytes(size if file.count(".") == 2 else size * PARTS)
        wanted = dict(item.split("=") for item in query.split("&")) if query else {}
        if wanted:
            due = int(wanted["_HLS_msn"]) * PARTS + int(wanted["_HLS_part"])
            await asyncio.sleep(max(0.0, (due + 1) * PART_SECONDS - time.time()))
        return playlist(position(time.time())).encode()


def playlist(parts: int) -> str:
    """A media playlist of the usual size."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:9", "#EXT-X-TARGETDURATION:2", "#EXT-X-PART-INF:PART-TARGET=0.2"]
    for index in range(parts - 3 * PARTS, parts):
        msn, part = divmod(index, PARTS)
        lines.append(f'#EXT-X-PART:DURATION=0.20000,URI="{msn}.{part}.m4s"')
        if part == PARTS - 1:
            lines += ["#EXTINF:2.00000,", f"{msn}.m4s"]
    return "\n".join(lines) + "\n"


async def serve_origin(port: int) -> None:
    """The origin until it is ended."""
    config = uvicorn.Config(Origin(), port=port, log_level="error", lifespan="off")
    await uvicorn.Server(config).serve()


async def serve_edge(port: int, redis_url: str, *, plain: bool) -> None:
    """An edge; `plain` leaves its hot path out."""
    from workloads.common import redis
    from workloads.edge.config import EdgeSettings
    from workloads.edge.plane import calm_garbage, plane

    calm_garbage()
    store = redis.connect(redis_url)
    settings = EdgeSettings(web_root=Path("/nonexistent"))
    async with plane(settings, store) as edge:
        options = edge.options | ({"http": "httptools"} if plain else {})
        edge.readiness.started = True
        await uvicorn.Server(uvicorn.Config(edge.app, port=port, log_level="error", lifespan="off", **options)).serve()
    await store.aclose()


class Bare(asyncio.Protocol):
    """The least that a server can do: whatever comes, the same bytes go back."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        body = bytes(SIZES["audio"])
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


async def serve_bare(port: int) -> None:
    """A server that does nothing but read and write."""
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", port)
    await server.serve_forever()


class Connection(asyncio.Protocol):
    """One keep-alive connection: a request at a time, the answer counted and thrown away."""

    def __init__(self) -> None:
        self.answers = 0
        self.failed = 0
        self._left = 0
        self._head = b""
        self._done: asyncio.Future[None] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done and not self._done.done():
            self._done.set_exception(exc or ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            start = self._head.find(b"content-length: ") + 16
            self._left = int(self._head[start : self._head.find(b"\r\n", start)]) - (len(self._head) - end - 4)
            self.failed += not self._head.startswith(b"HTTP/1.1 200")
            self._head = b""
        if self._left == 0:
            self.answers += 1
            done, self._done = self._done, None
            if done and not done.done():
                done.set_result(None)

    async def get(self, address: str, extra: str) -> None:
        """Ask, and wait for the whole answer."""
        assert self.transport is not None
        self._done = asyncio.get_running_loop().create_future()
        self.transport.write(f"GET {address} HTTP/1.1\r\n{HEADERS}{extra}\r\n".encode())
        await self._done


async def watch(port: int, base: str, viewers: int, seconds: float, extra: str, *, saturate: bool) -> dict[str, Any]:
    """Viewers of one stream: two renditions, each with a blocking reload and its part in every 200 ms."""
    loop = asyncio.get_running_loop()
    count = viewers if saturate else 2 * viewers
    made = [await loop.create_connection(Connection, "127.0.0.1", port) for _ in range(count)]
    connections = [protocol for _, protocol in made]
    start = position(time.time())
    until = time.time() + seconds
    late: list[float] = []

    async def play(connection: Connection, rung: str) -> None:
        part = start + 1
        while time.time() < until:
            msn, index = divmod(part, PARTS)
            await connection.get(f"{base}/{rung}/media.m3u8?_HLS_msn={msn}&_HLS_part={index}", extra)
            late.append(time.time() - (part + 1) * PART_SECONDS)
            await connection.get(f"{base}/{rung}/{msn}.{index}.m4s", extra)
            part += 1

    async def hammer(connection: Connection) -> None:
        while time.time() < until:
            await connection.get(f"{base}/audio/1.1.m4s", extra)

    rungs = ("480p", "audio")
    jobs = [hammer(item) if saturate else play(item, rungs[i % 2]) for i, item in enumerate(connections)]
    await asyncio.gather(*jobs)
    for transport, _ in made:
        transport.close()
    late.sort()
    return {
        "answers": sum(item.answers for item in connections),
        "failed": sum(item.failed for item in connections),
        "late_p99_ms": round(late[math.floor(0.99 * (len(late) - 1))] * 1000, 1) if late else 0,
        "parts": position(until) - start,
    }


def main() -> int:
    """Run one of the processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["origin", "bare", "serve", "watch"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--redis", default="")
    parser.add_argument("--base", default="/hls/bench/show")
    parser.add_argument("--header", default="")
    parser.add_argument("--viewers", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--saturate", action="store_true")
    given = parser.parse_args()
    extra = f"{given.header}\r\n" if given.header else ""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if given.role == "origin":
            runner.run(serve_origin(given.port))
        elif given.role == "bare":
            runner.run(serve_bare(given.port))
        elif given.role == "serve":
            runner.run(serve_edge(given.port, given.redis, plain=given.plain))
        else:
            job = watch(given.port, given.base, given.viewers, given.seconds, extra, saturate=given.saturate)
            sys.stdout.write(json.dumps(runner.run(job)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
