"""Helpers: a transcoder pool on the media plane, with the test in the place of the operators."""

import hashlib
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import redis
from media_plane import Plane, Publisher, enough, eventually, numbers, wait_for

WORKERS = ("worker-a", "worker-b")
UNITS, UNIT_BYTES = 8, 32 * 1024 * 1024
LADDER = {
    "rungs": [{"name": "180p", "width": 320, "height": 180, "fps": 30, "video_kbps": 300}],
    "audio_kbps": 64, "gop_seconds": 1.0, "segment_seconds": 1.0, "part_seconds": 0.2,
}  # fmt: skip


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass
class Broadcast:
    """A stream of the pool, with its own publisher and viewers."""

    pool: "Pool"
    id: str = field(default_factory=lambda: f"shop/{uuid.uuid4().hex[:8]}")
    key: str = field(default_factory=lambda: f"sk-{uuid.uuid4().hex}")
    units: int = UNITS

    def publish(self) -> Publisher:
        """Push the test source over RTMP."""
        port = self.pool.plane.ports["rtmp"]
        url = f"rtmp://127.0.0.1:{port}/live/{self.key}"
        return Publisher(self.pool.plane, f"source-{self.id.partition('/')[2]}", url, height=180)

    async def playlist(self, count: int) -> str:
        """The playlist at the edge once it lists `count` segments."""
        async with httpx.AsyncClient(base_url=f"{self.pool.plane.edge}/hls/{self.id}/", timeout=15) as viewer:
            return str(await eventually(lambda: enough(viewer, "180p", count)))

    async def newer_than(self, msn: int) -> str:
        """The playlist at the edge once its last segment is later than `msn`."""
        return await self._playlist_with(lambda found: found[-1] > msn)

    async def beginning_after(self, msn: int) -> str:
        """The playlist at the edge once its first segment is later than `msn`."""
        return await self._playlist_with(lambda found: found[0] > msn)

    async def _playlist_with(self, wanted: Callable[[list[int]], bool]) -> str:
        async def look() -> str:
            async with httpx.AsyncClient(base_url=f"{self.pool.plane.edge}/hls/{self.id}/", timeout=15) as viewer:
                response = await viewer.get("180p/media.m3u8")
            found = numbers(response.text) if response.status_code == 200 else []
            return response.text if found and wanted(found) else ""

        return str(await eventually(look))

    def told(self, name: str, text: str) -> list[dict[str, Any]]:
        """What a process logged about this stream under messages that hold `text`."""
        lines = [json.loads(line) for line in self.pool.plane.log(name).splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("stream") == self.id and text in line["msg"]]


class Pool:
    """The pool `default`; `place` is what the operators do."""

    def __init__(self, plane: Plane, store: redis.Redis) -> None:
        self.plane = plane
        self.store = store

    def start(self, name: str, **environment: str) -> None:
        """Start a worker and wait for it."""
        self.launch(name, **environment)
        wait_for(lambda: self.plane.is_ready(name))

    def launch(self, name: str, **environment: str) -> None:
        """Start a worker."""
        settings = {"HAAT_POOL": "default", "HAAT_POOL_UNITS": "16", "HAAT_POOL_UNIT_MEMORY_BYTES": str(UNIT_BYTES)}
        self.plane.launch(name, "transcoder", **(settings | environment))

    def url(self, worker: str) -> str:
        """Base URL of a worker."""
        return f"http://127.0.0.1:{self.plane.ports[worker]}"

    def allocate(self, stream: Broadcast, worker: str, *keys: str) -> None:
        """Write and announce the allocation."""
        spec = {"stream": stream.id, "uid": "u-1", "title": stream.id, "ladder": LADDER}
        body = {"pool": "default", "worker": f"{worker}-0", "units": stream.units, "uid": "u-1", "spec": spec}
        body["keys"] = [digest(key) for key in keys or (stream.key,)]
        self.store.hset("haat:allocations", stream.id, json.dumps(body))
        self.store.publish("haat:allocations:changed", stream.id)

    def route(self, stream: Broadcast, worker: str) -> None:
        """Lead the publisher and the viewers to the worker."""
        where = {"uid": "u-1", "origin": self.url(worker), "phase": "Live"}
        self.store.hset("haat:streams", stream.id, json.dumps(where))
        route = {"stream": stream.id, "uid": "u-1", "target": self.url(worker)}
        self.store.hset("haat:ingest", digest(stream.key), json.dumps(route))

    def beat(self, worker: str) -> dict[str, Any]:
        """The worker's heartbeat, empty while there is none."""
        raw = self.store.hget("haat:heartbeats", f"worker/default/{worker}-0")
        return dict(json.loads(str(raw))) if raw else {}

    async def place(self, stream: Broadcast, worker: str) -> None:
        """Allocate, wait until the worker has it, and lead everybody there."""
        self.allocate(stream, worker)

        async def hosts() -> bool:
            return stream.id in self.beat(worker).get("streams", [])

        await eventually(hosts)
        self.route(stream, worker)

    async def broadcast(self, worker: str, **settings: Any) -> Broadcast:
        """A stream that is on the air."""
        stream = Broadcast(self, **settings)
        await self.place(stream, worker)
        stream.publish()
        return stream


def encoder_of(stream: Broadcast, worker: str) -> int:
    """Process id of the stream's latest encoder."""
    return int(stream.told(worker, "encoder started")[-1]["pid"])


def clocks(playlist: str) -> list[str]:
    """Program date times, in the playlist's order."""
    return re.findall(r"#EXT-X-PROGRAM-DATE-TIME:(\S+)", playlist)
